// Answers how Go reads text: one JSON object per line on standard input, one answer per line on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v2"
)

type question struct {
	Ask     string   `json:"ask"`
	Pattern string   `json:"pattern"`
	Subject string   `json:"subject"`
	Pairs   []string `json:"pairs"`
	Request request  `json:"request"`
}

type answer map[string]any

type text string

type entry struct {
	Match *struct {
		Account, Type, Name, IP, Service *string
		Labels                           map[string]string
	}
	Actions *[]string
	Comment *string
}

type user struct {
	Password *text
	Labels   map[string][]string
}

// Sections of docker_auth's configuration, by their types alone.
type configuration struct {
	Server struct {
		Addr, Net, Certificate, Key string
		PathPrefix                  string `yaml:"path_prefix"`
		RealIPHeader                string `yaml:"real_ip_header"`
		RealIPPos                   int    `yaml:"real_ip_pos"`
		HSTS                        bool
	}
	Token struct {
		Issuer, Certificate, Key string
		Expiration               int64
		DisableLegacyKeyID       bool `yaml:"disable_legacy_key_id"`
	}
	Users map[string]*user
	ACL   []entry
	Mongo *struct {
		CacheTTL time.Duration `yaml:"cache_ttl"`
	} `yaml:"acl_mongo"`
}

func reply(q question) answer {
	switch q.Ask {
	case "glob":
		matched, err := path.Match(q.Pattern, q.Subject)
		return answer{"match": matched, "bad": err != nil}
	case "regexp":
		compiled, err := regexp.Compile(q.Pattern)
		if err != nil {
			return answer{"error": err.Error()}
		}
		return answer{"groups": compiled.FindStringSubmatch(q.Subject)}
	case "quote":
		return answer{"text": regexp.QuoteMeta(q.Subject)}
	case "replace":
		return answer{"text": strings.NewReplacer(q.Pairs...).Replace(q.Subject)}
	case "title":
		return answer{"text": strings.Title(q.Subject)} //lint:ignore SA1019 what is asked about
	case "fold":
		var orbit []rune
		for _, first := range q.Subject {
			orbit = append(orbit, first)
			for next := unicode.SimpleFold(first); next != first; next = unicode.SimpleFold(next) {
				orbit = append(orbit, next)
			}
		}
		return answer{"text": string(orbit)}
	case "address":
		address := net.ParseIP(q.Subject)
		if address == nil {
			return answer{"error": "no address"}
		}
		return answer{"text": address.String()}
	case "network":
		network, err := parseNetwork(q.Pattern)
		if err != nil {
			return answer{"error": err.Error()}
		}
		return answer{"match": network.Contains(net.ParseIP(q.Subject))}
	case "duration":
		duration, err := time.ParseDuration(q.Subject)
		if err != nil {
			return answer{"error": err.Error()}
		}
		return answer{"nanoseconds": int64(duration)}
	case "yaml":
		var found configuration
		if err := yaml.Unmarshal([]byte(q.Subject), &found); err != nil {
			return answer{"error": err.Error()}
		}
		return answer{"configuration": found}
	case "decide":
		var found configuration
		if err := yaml.Unmarshal([]byte(q.Subject), &found); err != nil {
			return answer{"error": err.Error()}
		}
		index, granted := decide(found.ACL, q.Request)
		return answer{"entry": index, "granted": granted}
	}
	return answer{"error": "unknown question"}
}

func parseNetwork(text string) (*net.IPNet, error) {
	address := net.ParseIP(text)
	if address == nil {
		_, network, err := net.ParseCIDR(text)
		return network, err
	}
	bits := 128
	if address.To4() != nil {
		bits = 32
	}
	return &net.IPNet{IP: address, Mask: net.CIDRMask(bits, bits)}, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		if err := encoder.Encode(reply(q)); err != nil {
			panic(err)
		}
		out.Flush()
	}
}
