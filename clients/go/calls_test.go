package keeper

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// A capture without a request_id gets one, and keeps it through the retries of a server that comes back.
func TestARetryKeepsItsRequestID(t *testing.T) {
	server := serve(t)
	server.failures = []error{rich(codes.Unavailable), rich(codes.ResourceExhausted)}
	request := &networkv1.CapturePatternRequest{AccountId: "a"}

	reply, err := client(t, server.address, WithInsecure()).Network.CapturePattern(soon(t), request)

	if err != nil || reply.GetPatternId() != "p" {
		t.Fatal(reply, err)
	}
	if len(server.requestIDs) != 3 || server.requestIDs[0] != server.requestIDs[2] || len(server.requestIDs[0]) != 36 {
		t.Fatalf("request ids %q", server.requestIDs)
	}
	if request.GetRequestId() != "" {
		t.Error("the caller's message was changed")
	}
}

// A request_id of the caller's own is sent as it is.
func TestARequestIDOfTheCallersIsKept(t *testing.T) {
	server := serve(t)
	request := &networkv1.CapturePatternRequest{RequestId: "6f9e7f3a-30c1-4ca6-9f0c-3f0c4ff0a001"}

	if _, err := client(t, server.address, WithInsecure()).Network.CapturePattern(soon(t), request); err != nil {
		t.Fatal(err)
	}
	if server.requestIDs[0] != request.GetRequestId() {
		t.Fatalf("request ids %q", server.requestIDs)
	}
}

// What the caller has to correct is said at once, with the first field in its text, and is not tried again.
func TestAnInvalidRequestNamesItsFields(t *testing.T) {
	server := serve(t)
	server.failures = []error{rich(codes.InvalidArgument,
		&errdetails.ErrorInfo{Reason: "INVALID_REQUEST", Domain: "network.keeper"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "insight.action", Description: "value is required"},
		}},
	)}

	_, err := client(t, server.address, WithInsecure()).Network.CapturePattern(soon(t), &networkv1.CapturePatternRequest{})

	var typed *Error
	if !errors.As(err, &typed) || typed.Reason != "INVALID_REQUEST" || typed.MayRetry() {
		t.Fatalf("%#v", err)
	}
	if !strings.Contains(err.Error(), "insight.action: value is required") {
		t.Error(err)
	}
	if status.Code(err) != codes.InvalidArgument || len(server.requestIDs) != 1 {
		t.Error(status.Code(err), len(server.requestIDs))
	}
}

// The server's own wait is kept, and not the client's backoff.
func TestTheServersWaitIsKept(t *testing.T) {
	server := serve(t)
	wait := 300 * time.Millisecond
	server.failures = []error{rich(codes.Unavailable, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})}
	keeper := client(t, server.address, WithInsecure())

	began := time.Now()
	_, err := keeper.Network.CapturePattern(soon(t), &networkv1.CapturePatternRequest{})

	if err != nil || time.Since(began) < wait {
		t.Fatal(err, time.Since(began))
	}
}

// When the attempts are used up, the error says how long the server asked to wait.
func TestTheLastErrorComesBack(t *testing.T) {
	server := serve(t)
	wait := &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)}
	for range 4 {
		server.failures = append(server.failures, rich(codes.Unavailable, wait))
	}

	_, err := client(t, server.address, WithInsecure()).Network.CapturePattern(soon(t), &networkv1.CapturePatternRequest{})

	if typed := AsError(err); typed.Code != codes.Unavailable || typed.RetryAfter != time.Millisecond || !typed.MayRetry() {
		t.Fatal(err)
	}
}

// A call without a deadline gets one; a caller's own is left alone.
func TestEveryCallHasADeadline(t *testing.T) {
	server := serve(t)
	keeper := client(t, server.address, WithInsecure(), WithTimeout(40*time.Second))
	long, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()

	for _, ctx := range []context.Context{context.Background(), long} {
		if _, err := keeper.Network.CapturePattern(ctx, &networkv1.CapturePatternRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if server.deadlines[0] > 40*time.Second || server.deadlines[1] < time.Minute {
		t.Fatal(server.deadlines)
	}
}

// A context that ended is found by errors.Is, as a Go caller looks for it.
func TestAContextsErrorIsFound(t *testing.T) {
	server := serve(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	_, err := client(t, server.address, WithInsecure()).Network.CapturePattern(ctx, &networkv1.CapturePatternRequest{})

	if !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// A stream that breaks is followed by another, which asks only what has no answer; an error of one question is its own.
func TestQuestionsWithoutAnAnswerAreAskedAgain(t *testing.T) {
	server := serve(t)
	server.breakAfter = 2
	server.failures = []error{rich(codes.Unavailable)}
	var questions []*networkv1.EnhanceInsightRequest
	for _, account := range []string{"a", "b", "", "d", "e"} {
		questions = append(questions, &networkv1.EnhanceInsightRequest{AccountId: account})
	}

	answers := client(t, server.address, WithInsecure()).EnhanceAll(soon(t), questions)

	for place, question := range questions {
		answer := answers[place]
		if question.GetAccountId() == "" {
			if answer.Err == nil || answer.Err.Code != codes.InvalidArgument {
				t.Error(place, answer)
			}
		} else if answer.Response.GetEnhancementId() != question.GetAccountId() {
			t.Error(place, answer)
		}
	}
	if len(server.asked) != 2 || len(server.asked[1]) > 5 {
		t.Errorf("asked %q", server.asked)
	}
}

// More questions than may be in flight are answered all the same.
func TestManyQuestionsAreAnswered(t *testing.T) {
	server := serve(t)
	questions := make([]*networkv1.EnhanceInsightRequest, 5*window)
	for place := range questions {
		questions[place] = &networkv1.EnhanceInsightRequest{AccountId: "a"}
	}

	for place, answer := range client(t, server.address, WithInsecure()).EnhanceAll(soon(t), questions) {
		if answer.Err != nil {
			t.Fatal(place, answer.Err)
		}
	}
}
