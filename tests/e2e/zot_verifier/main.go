// A stand-in for zot 2.1, whose own module cannot be had from a Go module proxy by every builder.
//
// It stores nothing. It answers as zot 2.1.3 and later answer to a bearer token, written from what zot documents and
// does: the same library verifies (golang-jwt v5, with the time of issue checked and no leeway), one key out of one
// certificate, no look at kid, x5c, iss and aud, actions compared letter by letter. Whatever a token allows is
// answered with 200 and an empty object.
//
//	zot-verifier CONFIG     CONFIG is zot's JSON: http.address, http.port, http.auth.bearer {realm, service, cert}
//	zot-verifier -up-to-2.1.17 CONFIG     the catalog and DELETE as they were asked for until then
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

type settings struct {
	HTTP struct {
		Address string `json:"address"`
		Port    string `json:"port"`
		Auth    struct {
			Bearer struct {
				Realm   string `json:"realm"`
				Service string `json:"service"`
				Cert    string `json:"cert"`
			} `json:"bearer"`
		} `json:"auth"`
	} `json:"http"`
}

type entry struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type claims struct {
	jwt.RegisteredClaims
	Access []entry `json:"access"`
}

type wanted struct{ name, action string }

var (
	methods = []string{"EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}
	named   = regexp.MustCompile(`^/v2/(.+)/(?:manifests|blobs|tags|referrers)/`)
)

func publicKey(file string) (crypto.PublicKey, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return certificate.PublicKey, nil
}

// wants tells which action on which repository a request needs; nil: any valid token will do.
func wants(request *http.Request, old bool) *wanted {
	if strings.TrimSuffix(request.URL.Path, "/") == "/v2" {
		return nil
	}
	found := named.FindStringSubmatch(request.URL.Path)
	if found == nil {
		if old {
			return &wanted{"", "pull"}
		}
		return nil
	}
	switch {
	case request.Method == http.MethodGet || request.Method == http.MethodHead:
		return &wanted{found[1], "pull"}
	case request.Method == http.MethodDelete && !old:
		return &wanted{found[1], "delete"}
	default:
		return &wanted{found[1], "push"}
	}
}

func allows(access []entry, want *wanted) bool {
	return want == nil || slices.ContainsFunc(access, func(one entry) bool {
		return one.Type == "repository" && one.Name == want.name && slices.Contains(one.Actions, want.action)
	})
}

func main() {
	old := flag.Bool("up-to-2.1.17", false, "ask as zot did until 2.1.17")
	flag.Parse()
	content, err := os.ReadFile(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	var set settings
	if err := json.Unmarshal(content, &set); err != nil {
		log.Fatal(err)
	}
	bearer := set.HTTP.Auth.Bearer
	key, err := publicKey(bearer.Cert)
	if err != nil {
		log.Fatalf("failed to load public key for bearer authentication: %v", err)
	}

	refuse := func(response http.ResponseWriter, challenge, code string) {
		if challenge != "" {
			response.Header().Set("WWW-Authenticate", challenge)
		}
		response.Header().Set("Content-Type", "application/json")
		response.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(response, `{"errors":[{"code":%q}]}`, code)
	}
	handle := func(response http.ResponseWriter, request *http.Request) {
		want := wants(request, *old)
		scope := ""
		if want != nil {
			scope = fmt.Sprintf("repository:%s:%s", want.name, want.action)
		}
		challenge := fmt.Sprintf(`Bearer realm="%s",service="%s",scope="%s"`, bearer.Realm, bearer.Service, scope)
		header := request.Header.Get("Authorization")
		if header == "" {
			refuse(response, challenge, "UNAUTHORIZED")
			return
		}
		_, text, _ := strings.Cut(header, " ")
		var held claims
		_, err := jwt.ParseWithClaims(text, &held, func(*jwt.Token) (any, error) { return key, nil },
			jwt.WithValidMethods(methods), jwt.WithIssuedAt())
		if err != nil {
			log.Printf("failed to parse Authorization header: invalid bearer token: %v", err)
			refuse(response, "", "UNSUPPORTED")
			return
		}
		if !allows(held.Access, want) {
			log.Printf("bearer token authorization failed: insufficient scope, wanted %s", scope)
			refuse(response, challenge, "UNAUTHORIZED")
			return
		}
		response.Header().Set("Content-Type", "application/json")
		fmt.Fprint(response, "{}")
	}
	log.Fatal(http.ListenAndServe(set.HTTP.Address+":"+set.HTTP.Port, http.HandlerFunc(handle)))
}
