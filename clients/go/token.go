package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// TokenSource returns the token of the next call. It is called for each, from several goroutines at once.
type TokenSource func(context.Context) (string, error)

type bearer struct{ source TokenSource }

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.source(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// tokenFile reads a file whenever its time or size changed.
func tokenFile(path string) TokenSource {
	var (
		mutex   sync.Mutex
		token   string
		written time.Time
		size    int64
	)
	return func(context.Context) (string, error) {
		mutex.Lock()
		defer mutex.Unlock()
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		if token != "" && info.ModTime().Equal(written) && info.Size() == size {
			return token, nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		read := strings.TrimSpace(string(content))
		if read == "" {
			return "", fmt.Errorf("%s: %w", path, errors.New("the token file is empty"))
		}
		token, written, size = read, info.ModTime(), info.Size()
		return token, nil
	}
}
