package keeper

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// selfSigned writes a certificate of 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	write(t, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})))
	return certificate, key
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secured is a server that demands the client's certificate.
func secured(t *testing.T, certificate, key string) *scripted {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(pair.Leaf)
	return serve(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
}

// Certificate and token are shown; a token that is renewed in its file is sent from the next call on.
func TestCertificateAndTokenAreShown(t *testing.T) {
	certificate, key := selfSigned(t)
	server := secured(t, certificate, key)
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "first\n")
	keeper := client(t, server.address, WithAuthority(certificate), WithCertificate(certificate, key), WithTokenFile(token))

	for range 2 {
		if _, err := keeper.Network.CapturePattern(soon(t), &networkv1.CapturePatternRequest{}); err != nil {
			t.Fatal(err)
		}
		write(t, token, "the second\n")
	}

	for call, want := range []string{"Bearer first", "Bearer the second"} {
		if got := server.headers[call].Get("authorization"); len(got) != 1 || got[0] != want {
			t.Errorf("call %d: %q", call, got)
		}
	}
}

// A server whose certificate nobody vouches for gets no call.
func TestAStrangersCertificateIsRefused(t *testing.T) {
	certificate, key := selfSigned(t)
	server := secured(t, certificate, key)

	_, err := client(t, server.address, WithTimeout(2*time.Second)).Network.CapturePattern(t.Context(), &networkv1.CapturePatternRequest{})

	if code := AsError(err).Code; code != codes.Unavailable && code != codes.DeadlineExceeded {
		t.Error(err)
	}
	if len(server.requestIDs) != 0 {
		t.Error("it was called")
	}
}

// What cannot be secure, or cannot work, is said before the first call.
func TestUnfitOptionsAreRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for name, options := range map[string][]Option{
		"a token without TLS":     {WithInsecure(), WithTokenFile(missing)},
		"a missing authority":     {WithAuthority(missing)},
		"a missing certificate":   {WithCertificate(missing, missing)},
		"an authority of nothing": {WithAuthority(os.DevNull)},
	} {
		if _, err := New("127.0.0.1:1", options...); err == nil {
			t.Error(name)
		}
	}
}

// Calls are spread over the servers that say they are serving, and reach no other.
func TestCallsGoToServersThatServe(t *testing.T) {
	first, second, third := serve(t), serve(t), serve(t)
	third.health.SetServingStatus(service, healthv1.HealthCheckResponse_NOT_SERVING)
	addresses := manual.NewBuilderWithScheme("keeper-test")
	addresses.InitialState(resolver.State{Endpoints: []resolver.Endpoint{
		{Addresses: []resolver.Address{{Addr: first.address}}},
		{Addresses: []resolver.Address{{Addr: second.address}}},
		{Addresses: []resolver.Address{{Addr: third.address}}},
	}})
	keeper := client(t, addresses.Scheme()+":///all", WithInsecure(), WithDialOptions(grpc.WithResolvers(addresses)))

	calls := func(server *scripted) int {
		server.mutex.Lock()
		defer server.mutex.Unlock()
		return len(server.requestIDs)
	}
	for ctx := soon(t); calls(first) == 0 || calls(second) == 0; {
		if _, err := keeper.Network.CapturePattern(ctx, &networkv1.CapturePatternRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if calls(third) != 0 {
		t.Error("a server that does not serve was called")
	}
}
