// Package keyfob gets credentials from keyfob, which signs in once and hands every program a valid one. It starts
// `keyfob serve --stdio` and asks it before every request: docs/protocol.md of keyfob describes the form.
package keyfob

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Error says why there is no credential. ID and ExitCode are stable: 4 means that a person has to sign in, 6 that asking later is right.
type Error struct {
	ID       string `json:"id"`
	Cause    string `json:"cause,omitempty"`
	What     string `json:"what"`
	Why      string `json:"why"`
	Hint     string `json:"hint"`
	ExitCode int    `json:"exit_code"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s (hint: %s)", e.What, e.Why, e.Hint) }

// Wanted is a question. Its zero value asks for an access token, for the program to decide where it goes.
type Wanted struct {
	URI      string `json:"uri,omitempty"`      // A credential is given for the hosts of the environment alone.
	Profile  string `json:"profile,omitempty"`  // The login that is meant.
	Kind     string `json:"kind,omitempty"`     // "access" or "id".
	MinValid int    `json:"min_valid"`          // Seconds that it has to be valid for.
	Rejected string `json:"rejected,omitempty"` // The Handle of a credential that was answered with 401.
	Wait     int    `json:"wait,omitempty"`     // Seconds that the answer may take: 1 to 60, and 10 if it is 0.
}

// Credential is what to send. No verb of fmt shows its token or headers. Ask for another one before every request.
type Credential struct {
	Headers   http.Header `json:"headers"`
	Token     string      `json:"token"`
	Kind      string      `json:"kind"`
	Source    string      `json:"source"`
	Handle    string      `json:"handle"` // Empty where nothing could take its place.
	Profile   string      `json:"profile"`
	ExpiresAt *time.Time  `json:"expires_at"`
	ExpiresIn *int        `json:"expires_in"`
	Warning   *Error      `json:"warning"`
}

// Format writes what is no secret, whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "keyfob.Credential{%s of %q from %s, handle %q}", c.Kind, c.Profile, c.Source, c.Handle)
}

// MarshalJSON leaves out what is secret.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(c)) }

// PutOn adds the headers. One that is a list, as anthropic-beta is, is added to what is sent anyway.
func (c *Credential) PutOn(headers http.Header) {
	for name, values := range c.Headers {
		if name = http.CanonicalHeaderKey(name); name == "Authorization" || name == "X-Api-Key" {
			headers.Del(name)
		}
		for _, value := range values {
			if !contains(headers.Values(name), value) {
				headers.Add(name, value)
			}
		}
	}
}

// contains says whether a list, which may be in several lines (RFC 9110 section 5.3), has this member.
func contains(lines []string, value string) bool {
	for _, part := range strings.Split(strings.Join(lines, ","), ",") {
		if strings.TrimSpace(part) == value {
			return true
		}
	}
	return false
}

type answer struct {
	ID    int    `json:"id"`
	Error *Error `json:"error"`
	*Credential
}

// child is a process that answers, and who waits for its answers. The channels are closed when it ends.
type child struct {
	process *exec.Cmd
	input   io.WriteCloser
	// Whoever writes may wait until the process reads, which may wait until its answers are read: who reads them never takes this one.
	writing sync.Mutex

	lock    sync.Mutex
	waiting map[int]chan answer // nil when it has ended.
}

// Client asks one keyfob, which is started when it is first needed and again when it has ended. It is for any number of goroutines.
type Client struct {
	// Program is its path; by default the first in an absolute directory of PATH. Never take it from a variable that a repository can set.
	Program string
	// Profile and Environment choose the login; by default as `keyfob token` does.
	Profile, Environment string

	lock  sync.Mutex
	child *child
	next  int
}

// String hides what a verb of fmt would find inside.
func (c *Client) String() string { return "keyfob.Client" }

// GoString hides it too.
func (c *Client) GoString() string { return "keyfob.Client" }

// Get returns a credential, renewed if that is due. Its error is an *Error.
func (c *Client) Get(wanted Wanted) (*Credential, error) {
	seconds := 30
	if wanted.Wait > 0 {
		seconds = wanted.Wait + 20
	}
	for attempt := 0; attempt < 2; attempt++ {
		asked, number, err := c.current()
		if err != nil {
			return nil, err
		}
		timer := time.NewTimer(time.Duration(seconds) * time.Second)
		came := asked.expect(number)
		// It may be full while nobody reads at the other end.
		go asked.write(number, wanted)
		select {
		case answer, ok := <-came:
			timer.Stop()
			if ok && answer.Error != nil {
				return nil, answer.Error
			} else if ok && answer.Credential != nil {
				return answer.Credential, nil
			}
		case <-timer.C:
			_ = asked.process.Process.Kill()
			return nil, &Error{"keyfob-silent", "", "keyfob gives no credential", "no answer came in time", "ask again", 6}
		}
	}
	return nil, &Error{"keyfob-ended", "", "keyfob gives no credential", "it has ended without an answer", "see its standard error, or try `keyfob token`", 70}
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

// current is the process that answers, started if there is none, and the number of the next question.
func (c *Client) current() (*child, int, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.child == nil {
		if err := c.start(); err != nil {
			return nil, 0, &Error{"keyfob-missing", "", "keyfob cannot be started", err.Error(), "install keyfob, or give its path as Program", 2}
		}
	}
	c.next++
	return c.child, c.next, nil
}

func (c *child) expect(number int) chan answer {
	came := make(chan answer, 1)
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.waiting == nil {
		close(came)
	} else {
		c.waiting[number] = came
	}
	return came
}

// write asks. If the process has ended, its reader says so.
func (c *child) write(number int, wanted Wanted) {
	line, _ := json.Marshal(struct {
		V  int `json:"v"`
		ID int `json:"id"`
		Wanted
	}{1, number, wanted})
	c.writing.Lock()
	defer c.writing.Unlock()
	_, _ = c.input.Write(append(line, '\n'))
}

func (c *Client) start() (err error) {
	words := []string{"serve", "--stdio"}
	if c.Profile != "" {
		words = append(words, "--profile="+c.Profile)
	}
	if c.Environment != "" {
		words = append(words, "--environment="+c.Environment)
	}
	program := c.Program
	if program == "" {
		if program, err = findProgram(); err != nil {
			return err
		}
	}
	started := &child{process: exec.Command(program, words...), waiting: map[int]chan answer{}}
	started.process.Stderr = os.Stderr
	output, err := started.process.StdoutPipe()
	if err == nil {
		started.input, err = started.process.StdinPipe()
	}
	if err == nil {
		err = started.process.Start()
	}
	if err == nil {
		c.child = started
		go c.read(started, output)
	}
	return err
}

// findProgram is the first in an absolute directory of PATH. exec.LookPath ends at the first relative one that has it.
func findProgram() (string, error) {
	for _, place := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(place) {
			if program, err := exec.LookPath(filepath.Join(place, "keyfob")); err == nil {
				return program, nil
			}
		}
	}
	return "", exec.ErrNotFound
}

func (c *Client) read(from *child, output io.Reader) {
	for lines := bufio.NewReader(output); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var came answer
		if json.Unmarshal(line, &came) == nil {
			from.lock.Lock()
			if box, ok := from.waiting[came.ID]; ok {
				box <- came
				delete(from.waiting, came.ID)
			}
			from.lock.Unlock()
		}
	}
	c.lock.Lock()
	if c.child == from {
		c.child = nil
	}
	c.lock.Unlock()
	from.lock.Lock()
	for _, box := range from.waiting {
		close(box)
	}
	from.waiting = nil
	from.lock.Unlock()
	_ = from.process.Wait()
}
