// The handler of the suite, in Go: one deed an event, the same in every language.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do      string          `json:"do"`
	Value   json.RawMessage `json:"value"`
	Size    int             `json:"size"`
	Names   []string        `json:"names"`
	Path    string          `json:"path"`
	Text    string          `json:"text"`
	Chunks  []string        `json:"chunks"`
	PauseMs int             `json:"pauseMs"`
}

// Broken is what fail returns: AWS's client names the error by its type.
type Broken struct{ message string }

func (broken *Broken) Error() string { return broken.message }

var ticks atomic.Int64

func tick() {
	for {
		time.Sleep(10 * time.Millisecond)
		ticks.Add(1)
	}
}

func contextOf(ctx context.Context) map[string]any {
	known, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	trace, _ := ctx.Value("x-amzn-trace-id").(string)
	return map[string]any{
		"requestId":       known.AwsRequestID,
		"remainingMs":     time.Until(deadline).Milliseconds(),
		"functionName":    lambdacontext.FunctionName,
		"functionVersion": lambdacontext.FunctionVersion,
		"memoryMb":        lambdacontext.MemoryLimitInMB,
		"logGroup":        lambdacontext.LogGroupName,
		"logStream":       lambdacontext.LogStreamName,
		"arn":             known.InvokedFunctionArn,
		"custom":          known.ClientContext.Custom,
		"identity":        known.Identity.CognitoIdentityID,
		"traceId":         trace,
	}
}

func stream(chunks []string, pause time.Duration) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		for _, chunk := range chunks {
			_, _ = writer.Write([]byte(chunk))
			time.Sleep(pause)
		}
		writer.Close()
	}()
	return reader
}

func handle(ctx context.Context, asked event) (any, error) {
	switch asked.Do {
	case "echo":
		return asked.Value, nil
	case "pid":
		return os.Getpid(), nil
	case "fail":
		return nil, &Broken{"no such luck"}
	case "panic":
		panic("no such luck")
	case "exit":
		os.Exit(3)
	case "hang":
		time.Sleep(1000 * time.Second)
	case "pad":
		return strings.Repeat("x", asked.Size), nil
	case "measure":
		return len(asked.Value) - 2, nil
	case "variables":
		found := map[string]*string{}
		for _, name := range asked.Names {
			if value, there := os.LookupEnv(name); there {
				found[name] = &value
			} else {
				found[name] = nil
			}
		}
		return found, nil
	case "write":
		return nil, os.WriteFile(asked.Path, []byte(asked.Text), 0o600)
	case "read":
		text, err := os.ReadFile(asked.Path)
		return string(text), err
	case "tick":
		go tick()
		return nil, nil
	case "ticks":
		for ticks.Load() == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		return true, nil
	case "print":
		_, err := os.Stdout.WriteString(asked.Text + "\n")
		return nil, err
	case "context":
		return contextOf(ctx), nil
	case "stream":
		return stream(asked.Chunks, time.Duration(asked.PauseMs)*time.Millisecond), nil
	}
	return nil, errors.New("no such deed")
}

func main() { lambda.Start(handle) }
