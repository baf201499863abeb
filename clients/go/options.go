package keeper

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Option changes a default of New.
type Option func(*settings)

type settings struct {
	timeout     time.Duration
	again       waits
	plaintext   bool
	authority   string
	certificate string
	key         string
	token       TokenSource
	dialing     []grpc.DialOption
}

// WithInsecure makes a connection without TLS, for a server on the same machine. Tokens are refused with it, because
// anyone on the way could read them.
func WithInsecure() Option { return func(s *settings) { s.plaintext = true } }

// WithAuthority trusts the certificate authorities in a PEM file, in the place of the system's.
func WithAuthority(file string) Option { return func(s *settings) { s.authority = file } }

// WithCertificate shows a client certificate, both files in PEM (mutual TLS). They are read again for each connection,
// so that a renewed certificate needs no restart.
func WithCertificate(certificate, key string) Option {
	return func(s *settings) { s.certificate, s.key = certificate, key }
}

// WithToken sends a bearer token with every call.
func WithToken(source TokenSource) Option { return func(s *settings) { s.token = source } }

// WithTokenFile sends the content of a file as the bearer token, and reads it again when it changes.
func WithTokenFile(path string) Option { return WithToken(tokenFile(path)) }

// WithTimeout is the deadline of a unary call whose context has none, all of its attempts included. 10 seconds by default.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// WithDialOptions adds options of gRPC (interceptors, stats handlers, another service config).
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dialing = append(s.dialing, options...) }
}

func (s *settings) security() ([]grpc.DialOption, error) {
	if s.plaintext {
		if s.token != nil || s.certificate != "" || s.authority != "" {
			return nil, errors.New("WithInsecure excludes tokens, certificates and authorities")
		}
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.authority != "" {
		pem, err := os.ReadFile(s.authority)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM", s.authority)
		}
	}
	if s.certificate != "" {
		// A pair that does not fit is told at once rather than at the first call.
		if _, err := tls.LoadX509KeyPair(s.certificate, s.key); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.certificate, s.key)
			return &pair, err
		}
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if s.token != nil {
		options = append(options, grpc.WithPerRPCCredentials(bearer{s.token}))
	}
	return options, nil
}
