// Package keyfob gets credentials from keyfob, which signs in once and hands every program a valid one. It starts
// `keyfob serve --stdio` and asks it before every request: docs/protocol.md of keyfob describes the form.
package keyfob

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Error says why there is no credential. ID and ExitCode are stable: 4 means that a person has to sign in, 6 that asking later is right.
type Error struct {
	ID, Cause, What, Why, Hint string
	ExitCode                   int `json:"exit_code"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (hint: %s)", e.What, e.Why, e.Hint) }

// failure is an error of this package, which has ids of its own.
func failure(id, why, hint string, exitCode int) *Error {
	return &Error{id, "", "keyfob gives no credential", why, hint, exitCode}
}

// Wanted is a question. Its zero value asks for an access token, for the program to decide where it goes.
type Wanted struct {
	URI      string `json:"uri,omitempty"`      // A credential is given for the hosts of the environment alone.
	Profile  string `json:"profile,omitempty"`  // The login that is meant.
	Kind     string `json:"kind,omitempty"`     // "access" or "id".
	MinValid int    `json:"min_valid"`          // Seconds that it has to be valid for.
	Rejected string `json:"rejected,omitempty"` // The Handle of a credential that was answered with 401.
	Wait     int    `json:"wait,omitempty"`     // Seconds that the answer may take: 1 to 60, and 10 if it is 0.
}

// Client asks one keyfob, which is started when it is first needed and again when it has ended. It is for any number of goroutines.
type Client struct {
	// Program is its path; by default the first in PATH, if that is in an absolute directory. Never take it from a variable that a repository can set.
	Program string
	// Profile and Environment choose the login; by default as `keyfob token` does.
	Profile, Environment string

	lock   sync.Mutex
	child  *child
	number int
}

// child is a process that answers, and who waits for its answers: an empty one is that it has ended.
type child struct {
	process *exec.Cmd
	input   io.WriteCloser
	waiting sync.Map // func(answer) by the number of the question
}

type answer struct {
	ID    int
	Error *Error
	*Credential
}

// Format hides what a verb of fmt would find inside.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "keyfob.Client") }

// Get is GetContext for who waits until there is an answer, which is bounded in time.
func (c *Client) Get(w Wanted) (*Credential, error) { return c.GetContext(context.Background(), w) }

// GetContext returns a credential, renewed if that is due. Its error is an *Error, or that of the context.
func (c *Client) GetContext(ctx context.Context, wanted Wanted) (*Credential, error) {
	for attempt := 0; attempt < 2; attempt++ {
		select {
		case answer := <-c.ask(wanted):
			if answer.Error != nil {
				return nil, answer.Error
			} else if answer.Credential != nil {
				return answer.Credential, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, failure("keyfob-ended", "it has ended without an answer", "see its standard error, or try `keyfob token`", 70)
}

// Close ends the process. It ends with this one too.
func (c *Client) Close() {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.child != nil {
		_ = c.child.input.Close()
		c.child = nil
	}
}

// ask returns where the answer comes, from the process that is there or from a new one.
func (c *Client) ask(wanted Wanted) <-chan answer {
	c.lock.Lock()
	defer c.lock.Unlock()
	came := make(chan answer, 1)
	if c.child == nil {
		if err := c.start(); err != nil {
			came <- answer{Error: failure("keyfob-missing", err.Error(), "install keyfob, or give its path as Program", 2)}
			return came
		}
	}
	c.number++
	asked, number := c.child, c.number
	// It runs on for who no longer waits: a process that is silent has to give way to another one all the same.
	late := time.AfterFunc(time.Duration(wanted.Wait+30)*time.Second, func() {
		if asked.hand(answer{ID: number, Error: failure("keyfob-silent", "no answer came in time", "ask again", 6)}) {
			_ = asked.process.Process.Kill()
			c.end(asked)
		}
	})
	asked.waiting.Store(number, func(answer answer) { late.Stop(); came <- answer })
	line, _ := json.Marshal(struct {
		V  int `json:"v"`
		ID int `json:"id"`
		Wanted
	}{1, number, wanted})
	// It may have to wait for the process, which waits until its answers are read. os.File writes one whole line after the other.
	go asked.input.Write(append(line, '\n'))
	return came
}

func (c *Client) start() error {
	words := []string{c.Program, "serve", "--stdio"}
	if c.Program == "" {
		words[0] = "keyfob" // exec refuses one that a relative directory of PATH has first.
	}
	if c.Profile != "" {
		words = append(words, "--profile="+c.Profile)
	}
	if c.Environment != "" {
		words = append(words, "--environment="+c.Environment)
	}
	process := exec.Command(words[0], words[1:]...)
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		return err
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err = process.Start(); err == nil {
		c.child = &child{process: process, input: input}
		go c.read(c.child, bufio.NewScanner(output))
	}
	return err
}

// read hands out what a process answers until it ends.
func (c *Client) read(from *child, lines *bufio.Scanner) {
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		// What is no answer is nobody's: who waits for one is told when its time is over.
		if came := (answer{}); json.Unmarshal(lines.Bytes(), &came) == nil {
			from.hand(came)
		}
	}
	c.end(from)
	_ = from.process.Wait()
}

// hand gives an answer to who waits for it, and says whether anybody does.
func (from *child) hand(came answer) bool {
	give, ok := from.waiting.LoadAndDelete(came.ID)
	if ok {
		give.(func(answer))(came)
	}
	return ok
}

// end asks a process nothing more. Its input is closed for what it has started itself, which may hold its output for long.
func (c *Client) end(of *child) {
	c.lock.Lock()
	if c.child == of {
		c.child = nil
	}
	c.lock.Unlock()
	of.waiting.Range(func(number, _ any) bool { return of.hand(answer{ID: number.(int)}) || true })
	_ = of.input.Close()
}
