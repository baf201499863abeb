package keeper

import (
	"context"
	"crypto/rand"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// withRequestID gives a request that has a field request_id, and nothing in it, a new one: a retry then counts once. To
// make that hold across a crash of the caller too, set one of your own. The caller's message is not changed.
func withRequestID(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if message, ok := request.(proto.Message); ok {
		field := message.ProtoReflect().Descriptor().Fields().ByName("request_id")
		if field != nil && !message.ProtoReflect().Has(field) {
			message = proto.Clone(message)
			message.ProtoReflect().Set(field, protoreflect.ValueOfString(newUUID()))
			request = message
		}
	}
	return invoke(ctx, method, request, reply, connection, options...)
}

func newUUID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	random[6] = random[6]&0x0f | 0x40
	random[8] = random[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[:4], random[4:6], random[6:8], random[8:10], random[10:])
}
