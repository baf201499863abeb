package keeper

import (
	"context"
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	networkv1 "keeper.internal/clients/go/gen/keeper/network/v1"
)

// window is how many questions are in flight at most: twice what a server works on at once, so that it never waits.
const window = 64

// Enhanced is the answer to one question of EnhanceAll, or its error.
type Enhanced struct {
	Response *networkv1.EnhanceInsightResponse
	Err      *Error
}

// EnhanceAll asks about many insights over one stream, or over several when one breaks, and returns an answer for each
// question, in their order. Errors that may pass are asked again, until the attempts are used up or the context ends; a
// question that then has none has the stream's error. The context should have a deadline.
func (c *Client) EnhanceAll(ctx context.Context, questions []*networkv1.EnhanceInsightRequest) []Enhanced {
	answers := make([]Enhanced, len(questions))
	for failures := 0; ; {
		open := unanswered(answers)
		if len(open) == 0 {
			return answers
		}
		broken := c.askOnce(ctx, questions, open, answers)
		passing := broken
		for _, answer := range answers {
			if passing == nil && answer.Err != nil && answer.Err.MayRetry() {
				passing = answer.Err
			}
		}
		if passing == nil {
			return answers
		}
		failures++
		if failures >= c.again.attempts || !passing.MayRetry() || !sleep(ctx, c.again.after(failures, passing)) {
			for _, place := range unanswered(answers) {
				if answers[place].Err == nil {
					answers[place].Err = passing
				}
			}
			return answers
		}
	}
}

// unanswered has the places of questions without an answer, or with an error that may pass.
func unanswered(answers []Enhanced) []int {
	var open []int
	for place, answer := range answers {
		if answer.Response == nil && (answer.Err == nil || answer.Err.MayRetry()) {
			open = append(open, place)
		}
	}
	return open
}

// askOnce asks the open questions over one stream; the error is what broke it, nil when it ended well.
func (c *Client) askOnce(ctx context.Context, questions []*networkv1.EnhanceInsightRequest, open []int, answers []Enhanced) *Error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.Network.EnhanceInsights(ctx)
	if err != nil {
		cancel()
		return AsError(err)
	}
	slots := make(chan struct{}, window)
	asked := make(chan struct{})
	// The stream may be used by one sender and one receiver at once, and by nobody when this returns.
	defer func() { cancel(); <-asked }()
	go func() {
		defer close(asked)
		for _, place := range open {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			question := &networkv1.EnhanceInsightsRequest{CorrelationId: strconv.Itoa(place), Request: questions[place]}
			if stream.Send(question) != nil {
				return // the receiver gets the reason
			}
		}
		_ = stream.CloseSend()
	}()
	for left := len(open); left > 0; left-- {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fromStatus(status.New(codes.Unavailable, "the stream ended early"))
		}
		if err != nil {
			return AsError(err)
		}
		<-slots
		place, err := strconv.Atoi(message.GetCorrelationId())
		if err != nil || place < 0 || place >= len(answers) {
			return fromStatus(status.New(codes.Internal, "an answer to no question of this stream"))
		}
		if failed := message.GetError(); failed != nil {
			answers[place] = Enhanced{Err: fromProto(failed)}
		} else {
			answers[place] = Enhanced{Response: message.GetResponse()}
		}
	}
	_, _ = stream.Recv() // lets the stream end well, where cancelling would look like a caller that left
	return nil
}
