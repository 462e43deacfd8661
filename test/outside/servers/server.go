// An event stream as Go's users write it, over net/http alone. `kind` says what is sent; /live, how many responses are
// under way.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

var live int64

type kind struct {
	pause time.Duration
	size  int
}

var kinds = map[string]kind{
	"idle":  {time.Hour, 0},
	"ticks": {time.Second, 0},
	"busy":  {100 * time.Millisecond, 5_000},
	"flood": {0, 60_000},
}

func events(w http.ResponseWriter, r *http.Request) {
	chosen := kinds[r.URL.Query().Get("kind")]
	event := "data: " + strings.Repeat("x", chosen.size) + "\n\n"
	atomic.AddInt64(&live, 1)
	defer atomic.AddInt64(&live, -1)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := fmt.Fprint(w, event); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(chosen.pause):
		}
	}
}

func main() {
	http.HandleFunc("/events", events)
	http.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, atomic.LoadInt64(&live))
	})
	log.Fatal(http.ListenAndServe("0.0.0.0:"+os.Args[1], nil))
}
