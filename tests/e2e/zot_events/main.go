// A stand-in for the events extension of zot 2.1, whose own module cannot be had from a Go module proxy by every builder.
//
// It sends one event as zot's HTTP sink does, written from what zot documents and does: the same library (CloudEvents'
// SDK for Go) builds and sends it, in the library's default mode, with Basic credentials if the sink has a user, and once.
//
//	zot-events CONFIG TYPE NAME REFERENCE DIGEST     CONFIG is zot's JSON: extensions.events.sinks
//
// TYPE is image.updated, image.deleted, repository.created or image.lint_failed. Exit code 1: it was not accepted.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"
)

type sink struct {
	Type        string `json:"type"`
	Address     string `json:"address"`
	Timeout     string `json:"timeout"`
	Credentials struct {
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"credentials"`
}

type settings struct {
	Extensions struct {
		Events struct {
			Enable bool   `json:"enable"`
			Sinks  []sink `json:"sinks"`
		} `json:"events"`
	} `json:"extensions"`
}

const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("usage: zot-events CONFIG TYPE NAME REFERENCE DIGEST")
	}
	content, err := os.ReadFile(os.Args[1])
	fatal(err)
	var configured settings
	fatal(json.Unmarshal(content, &configured))
	events := configured.Extensions.Events
	if !events.Enable || len(events.Sinks) == 0 {
		log.Fatal("no sink is configured")
	}
	for _, one := range events.Sinks {
		send(one, event(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
	}
}

func event(kind, name, reference, digest string) cloudevents.Event {
	made := cloudevents.NewEvent()
	made.SetType("zotregistry." + kind)
	made.SetID(uuid.New().String())
	made.SetTime(time.Now())
	made.SetSource("zotregistry.dev")
	data := map[string]any{"name": name}
	if kind != "repository.created" {
		data["reference"], data["digest"] = reference, digest
		data["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	}
	if kind == "image.updated" || kind == "image.lint_failed" {
		data["manifest"] = manifest
	}
	fatal(made.SetData(cloudevents.ApplicationJSON, data))
	return made
}

func send(to sink, what cloudevents.Event) {
	if to.Type != "http" {
		log.Fatalf("a sink of type %q", to.Type)
	}
	timeout, err := time.ParseDuration(to.Timeout)
	fatal(err)
	options := []cehttp.Option{cehttp.WithTarget(to.Address), cehttp.WithClient(http.Client{Timeout: timeout})}
	if given := to.Credentials; given.Username != "" {
		encoded := base64.StdEncoding.EncodeToString([]byte(given.Username + ":" + given.Password))
		options = append(options, cehttp.WithHeader("Authorization", "Basic "+encoded))
	}
	protocol, err := cehttp.New(options...)
	fatal(err)
	client, err := cloudevents.NewClient(protocol)
	fatal(err)
	within, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if result := client.Send(within, what); cloudevents.IsNACK(result) || cloudevents.IsUndelivered(result) {
		log.Fatalf("not accepted: %v", result)
	}
}

func fatal(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
