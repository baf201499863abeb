// Package connect reads the connection of the examples from flags.
package connect

import (
	"flag"

	keeper "keeper.internal/clients/go"
)

// FromFlags parses the flags and makes a client: -target, and -ca, -certificate, -key, -token-file for TLS; without these
// the connection is not secure.
func FromFlags() (*keeper.Client, error) {
	target := flag.String("target", "127.0.0.1:50051", "server, as host:port or dns:///host:port")
	ca := flag.String("ca", "", "PEM file with the authorities to trust")
	certificate := flag.String("certificate", "", "PEM file with the client's certificate")
	key := flag.String("key", "", "PEM file with the client's key")
	token := flag.String("token-file", "", "file with a bearer token")
	flag.Parse()
	var options []keeper.Option
	if *ca == "" && *certificate == "" && *token == "" {
		options = append(options, keeper.WithInsecure())
	}
	if *ca != "" {
		options = append(options, keeper.WithAuthority(*ca))
	}
	if *certificate != "" {
		options = append(options, keeper.WithCertificate(*certificate, *key))
	}
	if *token != "" {
		options = append(options, keeper.WithTokenFile(*token))
	}
	return keeper.New(*target, options...)
}
