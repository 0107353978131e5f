// Writes cases.json: which proxy golang.org/x/net/http/httpproxy chooses for a URL. A case is a list of HTTP_PROXY,
// HTTPS_PROXY, NO_PROXY, the URL, and the answer: "direct", or scheme, host and port of the proxy.
//
// usage: go run . > cases.json
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

var proxies = []string{
	"http://proxy.example.com:3128", "proxy.example.com:3128", "https://proxy.example.com", "socks5://10.0.0.1:1080",
	"10.0.0.1:3128", "proxy", "http://ann:secret@proxy.example.com:3128/path?x#y", "ann:secret@proxy.example.com:3128",
	"http://[::1]:3128", "[fd00::1]:3128", "http://proxy:port", "http:proxy", "http:///path", "://proxy", ":3128",
	"http://a b:3128", "http://proxy:3128/%zz", "http://proxy%41:3128", "HTTP://Proxy:3128", "http://proxy:", "http://",
	"/proxy", "//proxy:3128", "http://p\tq", "http://proxy.example.com:3128 ", " http://proxy.example.com:3128",
	"http://a{b}:1", "http://ann:p%zz@proxy:1", "http://[::1", "http://[::1]x", "1http://proxy", "proxy#x", "proxy?x:y",
	"http://ann:p^w@proxy:1", "http://pröxy:3128", "proxy/a:b", "///proxy", "////proxy:3128",
}

var entries = []string{
	"*", "registry.example.com", ".example.com", "*.example.com", "example.com", "EXAMPLE.com", "com", ".com", "ample.com",
	"registry.example.com:443", "registry.example.com:5000", ".example.com:443", "example.com:80", "example.com:",
	"10.0.0.0/8", "10.1.2.3/32", "10.1.2.3", "10.1.2.3:443", "10.1.2.3:5000", "10.1.2.03", "10.0.0.0/08", "10.0.0.0/33",
	"10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/90", "::ffff:10.1.2.3", "[::ffff:10.1.2.3]:443", "fd00::/8",
	"fd00::1", "[fd00::1]", "[fd00::1]:443", "[fd00::1]:5000", "fd00::1:443", "fe80::1%eth0", "::/0", "0.0.0.0/0",
	"localhost", "127.0.0.1", "", " ", ":443", "https://registry.example.com", "registry.example.com/", ".", "*.", "*.com",
	"registry.example.com:https", "münchen.example", "xn--mnchen-3ya.example", "re*.example.com", "registry .example.com",
	"registry.example.com.", "10.", "10.1", "[registry.example.com]:443", "[registry.example.com]", "a]b:443", "registry",
	"registry.example.com;example.com", "registry.example.com example.com", "fd00::/8x", "%/8", "/8",
}

var urls = []string{
	"https://registry.example.com/v2/", "https://registry.example.com:5000/v2/", "http://registry.example.com/v2/",
	"http://registry.example.com:443/v2/", "https://Registry.Example.COM/v2/", "https://example.com", "https://localhost:5000/",
	"http://LOCALHOST/", "https://a.localhost/", "http://127.0.0.1:5000/", "http://127.9.9.9/", "http://[::1]:5000/",
	"http://[::ffff:127.0.0.1]/", "https://10.1.2.3/", "https://10.1.2.3:5000/", "https://[fd00::1]/", "https://[fd00::1]:5000/",
	"http://[::ffff:10.1.2.3]/", "https://registry/", "https://xn--mnchen-3ya.example/", "https://registry.example.com./",
	"https://[::ffff:10.1.2.3]:443/", "http://10.1.2.3:443/", "https://anexample.com/", "https://0.0.0.0/",
}

func main() {
	pick := rand.New(rand.NewSource(1))
	any := func(from []string) string { return from[pick.Intn(len(from))] }
	var lines []string
	add := func(http, https, exempt, address string) {
		config := httpproxy.Config{HTTPProxy: http, HTTPSProxy: https, NoProxy: exempt}
		parsed, err := url.Parse(address)
		if err != nil {
			panic(err)
		}
		answer := "direct"
		if proxy, err := config.ProxyFunc()(parsed); err != nil {
			panic(err)
		} else if proxy != nil {
			answer = proxy.Scheme + "://" + proxy.Host
		}
		line, _ := json.Marshal([]string{http, https, exempt, address, answer})
		lines = append(lines, string(line))
	}
	for _, proxy := range proxies {
		add(proxy, "", "", "http://registry.example.com/")
		add("", proxy, "", "https://registry.example.com/")
	}
	for _, address := range urls {
		add(proxies[0], proxies[2], "", address)
		for _, entry := range entries {
			if pick.Intn(3) == 0 {
				add(proxies[0], proxies[2], entry, address)
			}
		}
	}
	for range 400 {
		var list []string
		for range 1 + pick.Intn(4) {
			list = append(list, strings.Repeat(" ", pick.Intn(2))+any(entries)+strings.Repeat(" ", pick.Intn(2)))
		}
		add(any(proxies), any(proxies), strings.Join(list, ","), any(urls))
	}
	fmt.Fprintf(os.Stdout, "[\n%s\n]\n", strings.Join(lines, ",\n"))
}
