package keeper

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

const service = "keeper.network.v1.NetworkLearningService"

// scripted is a server that fails as planned.
type scripted struct {
	networkv1.UnimplementedNetworkLearningServiceServer
	address string
	health  *health.Server

	mutex      sync.Mutex
	failures   []error
	requestIDs []string
	headers    []metadata.MD
	deadlines  []time.Duration
	streams    [][]*networkv1.StreamEmergingPatternsResponse
	tokens     []string
	asked      [][]string
	breakAfter int
}

// serve starts it on a free port of this machine.
func serve(t *testing.T, options ...grpc.ServerOption) *scripted {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{address: listener.Addr().String(), health: health.NewServer()}
	server := grpc.NewServer(options...)
	networkv1.RegisterNetworkLearningServiceServer(server, s)
	healthv1.RegisterHealthServer(server, s.health)
	s.health.SetServingStatus(service, healthv1.HealthCheckResponse_SERVING)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return s
}

func (s *scripted) fail() error {
	if len(s.failures) == 0 {
		return nil
	}
	err := s.failures[0]
	s.failures = s.failures[1:]
	return err
}

func (s *scripted) CapturePattern(ctx context.Context, request *networkv1.CapturePatternRequest) (*networkv1.CapturePatternResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	headers, _ := metadata.FromIncomingContext(ctx)
	s.headers = append(s.headers, headers)
	s.requestIDs = append(s.requestIDs, request.GetRequestId())
	if end, ok := ctx.Deadline(); ok {
		s.deadlines = append(s.deadlines, time.Until(end))
	}
	if err := s.fail(); err != nil {
		var pushback *errdetails.RetryInfo
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.RetryInfo); ok {
				pushback = info
			}
		}
		if pushback != nil {
			wait := fmt.Sprint(pushback.GetRetryDelay().AsDuration().Milliseconds())
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", wait))
		}
		return nil, err
	}
	return &networkv1.CapturePatternResponse{PatternId: "p"}, nil
}

func (s *scripted) StreamEmergingPatterns(request *networkv1.StreamEmergingPatternsRequest, stream grpc.ServerStreamingServer[networkv1.StreamEmergingPatternsResponse]) error {
	s.mutex.Lock()
	s.tokens = append(s.tokens, request.GetResumeToken())
	messages := s.streams[0]
	s.streams = s.streams[1:]
	err := s.fail()
	s.mutex.Unlock()
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return err
}

func (s *scripted) EnhanceInsights(stream grpc.BidiStreamingServer[networkv1.EnhanceInsightsRequest, networkv1.EnhanceInsightsResponse]) error {
	s.mutex.Lock()
	s.asked = append(s.asked, nil)
	number := len(s.asked) - 1
	s.mutex.Unlock()
	for count := 1; ; count++ {
		question, err := stream.Recv()
		if err != nil {
			return nil
		}
		s.mutex.Lock()
		s.asked[number] = append(s.asked[number], question.GetCorrelationId())
		broken := s.breakAfter > 0 && count > s.breakAfter
		if broken {
			s.breakAfter = 0
			err = s.fail()
		}
		s.mutex.Unlock()
		if broken {
			return err
		}
		answer := &networkv1.EnhanceInsightsResponse{CorrelationId: question.GetCorrelationId()}
		if question.GetRequest().GetAccountId() == "" {
			answer.Result = &networkv1.EnhanceInsightsResponse_Error{Error: status.New(codes.InvalidArgument, "no account").Proto()}
		} else {
			answer.Result = &networkv1.EnhanceInsightsResponse_Response{Response: &networkv1.EnhanceInsightResponse{
				EnhancementId: question.GetRequest().GetAccountId(),
			}}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// client makes a client that soon tries again.
func client(t *testing.T, target string, options ...Option) *Client {
	t.Helper()
	quick := func(s *settings) { s.again.initial, s.again.longest = time.Millisecond, 5*time.Millisecond }
	made, err := New(target, append([]Option{quick}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Close() })
	return made
}

// soon bounds a test that would hang, and decides nothing else.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// rich is an error with details, as the server sends them.
func rich(code codes.Code, details ...protoadapt.MessageV1) error {
	made, err := status.New(code, "as planned").WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return made.Err()
}
