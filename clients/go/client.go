// Package keeper is the client of the Keeper network: a connection with sound defaults, and the three things that the
// generated stubs cannot do by themselves: typed errors, streams that go on after an interruption, and many questions
// over one stream.
//
//	client, err := keeper.New("dns:///keeper.internal:50051", keeper.WithTokenFile("/run/secrets/keeper"))
//	...
//	defer client.Close()
//	answer, err := client.Network.EnhanceInsight(ctx, &networkv1.EnhanceInsightRequest{...})
//
// Calls are made with the generated stubs (Client.Network, Client.Admin). The connection gives each unary call a
// deadline and a request_id where the caller set none, retries it where that may help, and returns errors as *Error.
package keeper

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/health" // for healthCheckConfig below
	"google.golang.org/grpc/keepalive"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// serviceConfig balances calls over every address of the target that says it is serving, and retries what did not
// reach a server or was refused by a busy one. The server's own wait (grpc-retry-pushback-ms) takes the place of the
// backoff. Every call of this API may be repeated: what changes something carries a request_id. gRPC for Go has no
// hedging.
const serviceConfig = `{
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": "keeper.network.v1.NetworkLearningService"},
  "methodConfig": [{
    "name": [{"service": "keeper.network.v1.NetworkLearningService"}, {"service": "keeper.network.v1.AdminService"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "5s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
}`

// Client is a connection to one network. It is safe for concurrent use.
type Client struct {
	// Network has the calls of engines, services and dashboards.
	Network networkv1.NetworkLearningServiceClient
	// Admin has the calls of operators.
	Admin networkv1.AdminServiceClient

	connection *grpc.ClientConn
	again      waits
}

// New makes a client of a target in gRPC's syntax ("host:port", "dns:///host:port"). It does not wait for the server.
// Without options the connection is TLS, and trusts the system's authorities.
func New(target string, options ...Option) (*Client, error) {
	chosen := settings{timeout: 10 * time.Second, again: usualWaits}
	for _, option := range options {
		option(&chosen)
	}
	security, err := chosen.security()
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	dialing := append([]grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		// A stream may be silent for weeks: this finds out when its server or a NAT entry has vanished.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true,
		}),
		// A restarted server is found within seconds; gRPC's own backoff goes up to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithChainUnaryInterceptor(withTypedErrors, withDeadline(chosen.timeout), withRequestID),
	}, security...)
	connection, err := grpc.NewClient(target, append(dialing, chosen.dialing...)...)
	if err != nil {
		return nil, fmt.Errorf("keeper: %w", err)
	}
	return &Client{
		Network:    networkv1.NewNetworkLearningServiceClient(connection),
		Admin:      networkv1.NewAdminServiceClient(connection),
		connection: connection,
		again:      chosen.again,
	}, nil
}

// Close ends the connection, and with it every call.
func (c *Client) Close() error { return c.connection.Close() }

func withDeadline(timeout time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		if _, given := ctx.Deadline(); !given {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, timeout)
			defer cancel()
		}
		return invoke(ctx, method, request, reply, connection, options...)
	}
}
