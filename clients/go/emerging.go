package keeper

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// EmergingEvent is one of Changed, SnapshotComplete, Alive and Interrupted.
type EmergingEvent interface{ emergingEvent() }

// Changed is an emerging pattern as it is now; Pattern.Change is the kind of the change.
type Changed struct {
	Pattern     *networkv1.EmergingPattern
	ResumeToken string
}

// SnapshotComplete says that every pattern that is emerging now has come. It comes at most once.
type SnapshotComplete struct {
	Count int
	// ResumeTokenExpired: the caller's own token was too old, so the snapshot replaces what it knew.
	ResumeTokenExpired bool
	ResumeToken        string
}

// Alive says that nothing has changed.
type Alive struct{}

// Interrupted says that the server cannot be reached, so that the last event may be stale. The watch goes on trying.
type Interrupted struct{ Err *Error }

func (Changed) emergingEvent()          {}
func (SnapshotComplete) emergingEvent() {}
func (Alive) emergingEvent()            {}
func (Interrupted) emergingEvent()      {}

// WatchEmerging follows the emerging patterns: a snapshot, then every change, until the context ends.
//
// It resumes after restarts and cut-offs of the server, without repeated or lost changes. To resume after a restart of
// the caller, keep the last ResumeToken and set it in the request. The sequence ends with an error that no retry cures,
// or with the context's.
func (c *Client) WatchEmerging(ctx context.Context, request *networkv1.StreamEmergingPatternsRequest) iter.Seq2[EmergingEvent, error] {
	return func(yield func(EmergingEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		wanted := proto.Clone(request).(*networkv1.StreamEmergingPatternsRequest)
		seen := newView()
		failures := 0
		for {
			seen.streamBegins()
			went := true
			err := c.readEmerging(ctx, wanted, func(message *networkv1.StreamEmergingPatternsResponse) bool {
				failures = 0
				wanted.ResumeToken = message.GetResumeToken()
				for _, event := range seen.events(message) {
					if went = yield(event, nil); !went {
						return false
					}
				}
				return true
			})
			if !went {
				return
			}
			if ended := ctx.Err(); ended != nil {
				yield(nil, ended)
				return
			}
			if !err.MayRetry() {
				yield(nil, err)
				return
			}
			failures++
			// A stream that merely reached its maximum age is followed at once.
			if failures > 1 && !yield(Interrupted{err}, nil) {
				return
			}
			if !sleep(ctx, c.again.after(failures, err)) {
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// readEmerging reads one stream to its end, or until take returns false. The error is never nil.
func (c *Client) readEmerging(ctx context.Context, request *networkv1.StreamEmergingPatternsRequest,
	take func(*networkv1.StreamEmergingPatternsResponse) bool,
) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Network.StreamEmergingPatterns(ctx, request)
	for err == nil {
		var message *networkv1.StreamEmergingPatternsResponse
		if message, err = stream.Recv(); err == nil && !take(message) {
			return nil
		}
	}
	if errors.Is(err, io.EOF) {
		// This server's streams never end well; a proxy's may.
		return fromStatus(status.New(codes.Unavailable, "the stream ended early"))
	}
	return AsError(err)
}
