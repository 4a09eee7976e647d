// Does what it is told, a line of JSON each: the tests of keyfob run the same with the packages of all languages.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"project.invalid/keyfob"
)

var client = &keyfob.Client{Program: os.Args[1]}

func inWords(e *keyfob.Error) map[string]any {
	said := map[string]any{"id": e.ID, "what": e.What, "why": e.Why, "hint": e.Hint, "exit_code": e.ExitCode}
	if e.Cause != "" {
		said["cause"] = e.Cause
	}
	return said
}

func told(wanted keyfob.Wanted) any {
	c, err := client.Get(wanted)
	var failed *keyfob.Error
	if errors.As(err, &failed) {
		return map[string]any{"error": inWords(failed)}
	} else if err != nil {
		panic(err)
	}
	said := map[string]any{"headers": c.Headers, "token": c.Token, "kind": c.Kind, "source": c.Source, "handle": c.Handle,
		"profile": c.Profile, "expires_at": c.ExpiresAt, "expires_in": c.ExpiresIn}
	if c.Warning != nil {
		said["warning"] = inWords(c.Warning)
	}
	return said
}

func do(act string, words []json.RawMessage) (said any) {
	switch act {
	case "get":
		var wanted keyfob.Wanted
		if err := json.Unmarshal(words[0], &wanted); err != nil {
			panic(err)
		}
		return told(wanted)
	case "many":
		var count int
		_ = json.Unmarshal(words[0], &count)
		all, group := make([]any, count), sync.WaitGroup{}
		for number := range all {
			group.Add(1)
			go func(number int) { all[number] = told(keyfob.Wanted{}); group.Done() }(number)
		}
		group.Wait()
		return all
	case "fetch":
		var url string
		_ = json.Unmarshal(words[1], &url)
		response, err := (&http.Client{Transport: &keyfob.Transport{Client: client}}).Get(url)
		if err != nil {
			panic(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	case "put":
		var there, added []string
		_ = json.Unmarshal(words[0], &there)
		_ = json.Unmarshal(words[1], &added)
		headers := http.Header{"Anthropic-Beta": there}
		(&keyfob.Credential{Headers: http.Header{"anthropic-beta": added}}).PutOn(headers)
		return headers["Anthropic-Beta"]
	default:
		credential, err := client.Get(keyfob.Wanted{})
		if err != nil {
			panic(err)
		}
		inJSON, _ := json.Marshal(credential)
		return []string{fmt.Sprint(client), fmt.Sprintf("%#v", client), fmt.Sprintf("%v %+v %#v %s %q %d", credential, credential, credential,
			credential, *credential, credential), string(inJSON)}
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var words []json.RawMessage
		var act string
		if err := json.Unmarshal(lines.Bytes(), &words); err != nil {
			panic(err)
		}
		_ = json.Unmarshal(words[0], &act)
		line, err := json.Marshal(do(act, words[1:]))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
