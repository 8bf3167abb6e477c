package stacks

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// service is an echo, written as generated code would be.
var service = grpc.ServiceDesc{
	ServiceName: "Echo", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "One",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			err := decode(in)
			return in, err
		},
	}},
	Streams: []grpc.StreamDesc{{
		StreamName: "Many", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				in := new(wrapperspb.StringValue)
				if err := stream.RecvMsg(in); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := stream.SendMsg(in); err != nil {
					return err
				}
			}
		},
	}},
}

func grpcClient(t *testing.T, s stack) *grpc.ClientConn {
	l := listen(t, s)
	server := grpc.NewServer()
	server.RegisterService(&service, nil)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	c, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) { return s.DialContext(ctx, "tcp", to) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestGRPCUnary(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		c := grpcClient(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var all sync.WaitGroup
		for i := range 1000 { // at once
			all.Go(func() {
				out := new(wrapperspb.StringValue)
				if err := c.Invoke(ctx, "/Echo/One", wrapperspb.String(fmt.Sprint(i)), out); err != nil || out.Value != fmt.Sprint(i) {
					t.Errorf("%d: %q, %v", i, out.GetValue(), err)
				}
			})
		}
		all.Wait()
	})
}

func TestGRPCStreams(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		c := grpcClient(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		n := 50
		if long() {
			n = 1000
		}
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				stream, err := c.NewStream(ctx, &service.Streams[0], "/Echo/Many")
				if err != nil {
					t.Error(err)
					return
				}
				for n := range 20 {
					text := fmt.Sprint(i, n)
					out := new(wrapperspb.StringValue)
					if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
						t.Error(err)
						return
					}
					if err := stream.RecvMsg(out); err != nil || out.Value != text {
						t.Errorf("%q, %v, want %q", out.GetValue(), err, text)
						return
					}
				}
				_ = stream.CloseSend()
				if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF {
					t.Errorf("the end is %v", err)
				}
			})
		}
		all.Wait()
	})
}
