package main

import (
	"net"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The four fields of a request that patterns and placeholders name, in the order of docker_auth.
var names = [4]string{"account", "type", "name", "service"}

type fields [4]string

type request struct {
	Fields  fields              `json:"fields"`
	Labels  map[string][]string `json:"labels"`
	IP      string              `json:"ip"`
	Actions []string            `json:"actions"`
}

var submatch = regexp.MustCompile(`\$\{(.+?):(\d+)\}`)

// expression returns what is between the slashes of a pattern that is a regular expression.
func expression(pattern string) (string, bool) {
	if len(pattern) < 3 || !strings.HasPrefix(pattern, "/") || !strings.HasSuffix(pattern, "/") {
		return "", false
	}
	return pattern[1 : len(pattern)-1], true
}

// fits reports whether a text has a pattern, with its placeholders replaced by those that follow them in pairs.
func fits(pattern, value string, pairs []string) bool {
	replaced := strings.NewReplacer(pairs...).Replace(pattern)
	if inner, ok := expression(replaced); ok {
		found, err := regexp.MatchString(inner, value)
		return found && err == nil
	}
	found, err := path.Match(replaced, value)
	return found && err == nil
}

// fitsLabels tries every combination of the values of the labels that a pattern names.
func fitsLabels(pattern, value string, pairs []string, labels map[string][]string) bool {
	if fits(pattern, value, pairs) {
		return true
	}
	var named []string
	for label := range labels {
		if strings.Contains(pattern, "${labels:"+label+"}") {
			named = append(named, label)
		}
	}
	if len(named) == 0 {
		return false
	}
	var try func(int, []string) bool
	try = func(at int, chosen []string) bool {
		if at == len(named) {
			return fits(pattern, value, append(append([]string{}, pairs...), chosen...))
		}
		for _, each := range labels[named[at]] {
			if try(at+1, append(append([]string{}, chosen...), "${labels:"+named[at]+"}", each)) {
				return true
			}
		}
		return false
	}
	return try(0, nil)
}

// replacements lists the placeholders of the request's own fields and of submatches.
func replacements(patterns [4]*string, values fields) []string {
	var pairs []string
	for i, name := range names {
		pairs = append(pairs, "${"+name+"}", regexp.QuoteMeta(values[i]))
	}
	for _, pattern := range patterns {
		if pattern == nil {
			continue
		}
		for _, found := range submatch.FindAllStringSubmatch(*pattern, -1) {
			number, _ := strconv.Atoi(found[2])
			for i, name := range names {
				if strings.Title(found[1]) != strings.Title(name) || patterns[i] == nil { //lint:ignore SA1019 as there
					continue
				}
				inner, ok := expression(*patterns[i])
				compiled, err := regexp.Compile(inner)
				if !ok || err != nil {
					continue
				}
				if groups := compiled.FindStringSubmatch(values[i]); 0 < number && number < len(groups) {
					pairs = append(pairs, found[0], groups[number])
				}
			}
		}
	}
	return pairs
}

func (e entry) holds(r request) bool {
	match := e.Match
	patterns := [4]*string{match.Account, match.Type, match.Name, match.Service}
	pairs := replacements(patterns, r.Fields)
	for i, pattern := range patterns {
		if pattern != nil && !fitsLabels(*pattern, r.Fields[i], pairs, r.Labels) {
			return false
		}
	}
	for label, pattern := range match.Labels {
		found := false
		for _, value := range r.Labels[label] {
			found = found || fits(pattern, value, pairs)
		}
		if !found {
			return false
		}
	}
	if match.IP == nil {
		return true
	}
	network, err := parseNetwork(*match.IP)
	address := net.ParseIP(r.IP)
	return err == nil && address != nil && network.Contains(address)
}

// decide returns the index of the entry that decides and what it grants; -1 if there is none.
func decide(acl []entry, r request) (int, []string) {
	for i, e := range acl {
		if !e.holds(r) {
			continue
		}
		granted := append([]string{}, r.Actions...)
		if len(*e.Actions) != 1 || (*e.Actions)[0] != "*" {
			granted = []string{}
			for _, action := range r.Actions {
				if contains(*e.Actions, action) && !contains(granted, action) {
					granted = append(granted, action)
				}
			}
		}
		sort.Strings(granted)
		return i, granted
	}
	return -1, []string{}
}

func contains(texts []string, text string) bool {
	for _, each := range texts {
		if each == text {
			return true
		}
	}
	return false
}
