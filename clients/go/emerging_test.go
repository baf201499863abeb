package keeper

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

func change(id, token string, accounts int32, kind networkv1.EmergingPattern_Change) *networkv1.StreamEmergingPatternsResponse {
	return &networkv1.StreamEmergingPatternsResponse{
		ResumeToken: token,
		Event: &networkv1.StreamEmergingPatternsResponse_EmergingPattern{EmergingPattern: &networkv1.EmergingPattern{
			EmergingPatternId: id, AccountCount: accounts, Change: kind,
		}},
	}
}

func complete(token string) *networkv1.StreamEmergingPatternsResponse {
	return &networkv1.StreamEmergingPatternsResponse{
		ResumeToken: token,
		Event: &networkv1.StreamEmergingPatternsResponse_SnapshotComplete_{
			SnapshotComplete: &networkv1.StreamEmergingPatternsResponse_SnapshotComplete{Count: 2},
		},
	}
}

// watched are the events up to the error that ends the watch, in a short form.
func watched(t *testing.T, server *scripted) ([]string, *Error) {
	t.Helper()
	var seen []string
	for event, err := range client(t, server.address, WithInsecure()).WatchEmerging(soon(t), &networkv1.StreamEmergingPatternsRequest{}) {
		if err != nil {
			return seen, AsError(err)
		}
		switch event := event.(type) {
		case Changed:
			seen = append(seen, fmt.Sprintf("%s %s %d", event.Pattern.GetChange(), event.Pattern.GetEmergingPatternId(), event.Pattern.GetAccountCount()))
		case SnapshotComplete:
			seen = append(seen, fmt.Sprintf("complete %d", event.Count))
		case Alive:
			seen = append(seen, "alive")
		case Interrupted:
			seen = append(seen, "interrupted")
		}
	}
	return seen, nil
}

var over = rich(codes.InvalidArgument, &errdetails.ErrorInfo{Reason: "RESUME_TOKEN_INVALID"})

const (
	isNew    = networkv1.EmergingPattern_CHANGE_NEW
	updated  = networkv1.EmergingPattern_CHANGE_UPDATED
	promoted = networkv1.EmergingPattern_CHANGE_PROMOTED
)

// A stream that ends is followed by one with the last token; the caller sees one sequence of changes.
func TestAWatchResumesWhereItWasCutOff(t *testing.T) {
	server := serve(t)
	server.streams = [][]*networkv1.StreamEmergingPatternsResponse{
		{change("a", "1", 3, isNew), change("b", "1", 3, isNew), complete("1")},
		{change("a", "2", 4, updated), change("b", "3", 3, promoted)},
		{},
	}
	server.failures = []error{rich(codes.Unavailable), rich(codes.ResourceExhausted), over}

	seen, err := watched(t, server)

	if want := []string{
		"CHANGE_NEW a 3", "CHANGE_NEW b 3", "complete 2", "CHANGE_UPDATED a 4", "CHANGE_PROMOTED b 3",
	}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
	if !slices.Equal(server.tokens, []string{"", "1", "3"}) {
		t.Errorf("tokens %q", server.tokens)
	}
	if err == nil || err.Reason != "RESUME_TOKEN_INVALID" {
		t.Error(err)
	}
}

// A second snapshot repeats nothing: what is known comes as UPDATED if it differs, and what is gone as FADED.
func TestASecondSnapshotIsComparedWithWhatIsKnown(t *testing.T) {
	server := serve(t)
	server.streams = [][]*networkv1.StreamEmergingPatternsResponse{
		{change("a", "1", 3, isNew), change("b", "1", 3, isNew), change("c", "1", 3, isNew), complete("1")},
		{change("a", "9", 3, isNew), change("b", "9", 7, isNew), complete("9")},
		{},
	}
	server.failures = []error{rich(codes.Unavailable), rich(codes.Unavailable), over}

	seen, _ := watched(t, server)

	if want := []string{
		"CHANGE_NEW a 3", "CHANGE_NEW b 3", "CHANGE_NEW c 3", "complete 2",
		"CHANGE_UPDATED b 7", "CHANGE_FADED c 3", "alive",
	}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
}

// Two streams in a row that bring nothing are an interruption, which the caller is told.
func TestAnInterruptionIsTold(t *testing.T) {
	server := serve(t)
	server.streams = make([][]*networkv1.StreamEmergingPatternsResponse, 12)
	for range 11 {
		server.failures = append(server.failures, rich(codes.Unavailable))
	}
	server.failures = append(server.failures, over)

	seen, _ := watched(t, server)

	if !slices.Contains(seen, "interrupted") {
		t.Errorf("%q", seen)
	}
}

// A caller that has seen enough leaves the loop, and the watch ends with it.
func TestABreakEndsTheWatch(t *testing.T) {
	server := serve(t)
	server.streams = [][]*networkv1.StreamEmergingPatternsResponse{{change("a", "1", 3, isNew), complete("1")}}
	server.failures = []error{rich(codes.Unavailable)}

	for range client(t, server.address, WithInsecure()).WatchEmerging(soon(t), &networkv1.StreamEmergingPatternsRequest{}) {
		break
	}

	if len(server.tokens) != 1 {
		t.Errorf("streams %d", len(server.tokens))
	}
}
