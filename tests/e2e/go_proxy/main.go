// A reverse proxy as people write it in Go: httputil.ReverseProxy with nothing but the X-Forwarded-Proto that such
// proxies add. It appends the client's address to X-Forwarded-For, passes on whatever else the client sent, and its
// transport sends the headers sorted by name, so that a name with an underscore comes after the one with hyphens.
//
// usage: go-proxy LISTEN URL PROTO
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: go-proxy LISTEN URL PROTO")
	}
	target, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	direct := proxy.Director
	proxy.Director = func(request *http.Request) {
		direct(request)
		request.Header.Set("X-Forwarded-Proto", os.Args[3])
	}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
