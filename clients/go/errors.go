package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is what a call ended with. Its text names the first field violation.
type Error struct {
	// Code is gRPC's.
	Code codes.Code
	// Reason is the server's name of the error ("INVALID_REQUEST"); empty for an error from elsewhere.
	Reason string
	// Message is for people.
	Message string
	// FieldViolations names the fields of an invalid request.
	FieldViolations []FieldViolation
	// RetryAfter is how long the server asks to wait; 0 where it does not say.
	RetryAfter time.Duration

	status *status.Status
}

// FieldViolation is one broken rule: the field's path in the request, and what it should be.
type FieldViolation struct{ Field, Description string }

// Error is "INVALID_REQUEST: message (insight.action: value is required)".
func (e *Error) Error() string {
	name := e.Reason
	if name == "" {
		name = e.Code.String()
	}
	text := fmt.Sprintf("%s: %s", name, e.Message)
	if len(e.FieldViolations) > 0 {
		first := e.FieldViolations[0]
		text += fmt.Sprintf(" (%s: %s)", first.Field, first.Description)
	}
	return text
}

// GRPCStatus makes status.FromError and status.Code work.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is lets errors.Is find a context's error behind the status that gRPC makes of it.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	case context.Canceled:
		return e.Code == codes.Canceled
	}
	return false
}

// MayRetry says whether another attempt may succeed. The connection has made some by then.
func (e *Error) MayRetry() bool {
	switch e.Code {
	case codes.Unavailable, codes.ResourceExhausted:
		return true
	case codes.DeadlineExceeded:
		// The server's own limit was reached, and not the caller's deadline.
		return e.Reason == "CALL_DURATION_EXCEEDED"
	}
	return false
}

// AsError is the *Error of an error that came from a call, also of a stream's; nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	read, ok := status.FromError(err)
	if !ok {
		read = status.FromContextError(err)
	}
	return fromStatus(read)
}

func fromProto(message *rpcstatus.Status) *Error { return fromStatus(status.FromProto(message)) }

func fromStatus(read *status.Status) *Error {
	made := &Error{Code: read.Code(), Message: read.Message(), status: read}
	for _, detail := range read.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			made.Reason = detail.GetReason()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				made.FieldViolations = append(made.FieldViolations,
					FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			made.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return made
}

func withTypedErrors(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if err := invoke(ctx, method, request, reply, connection, options...); err != nil {
		return AsError(err)
	}
	return nil
}
