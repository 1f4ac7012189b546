//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A user views the queue in a browser: a password is needed, and nothing can be changed there.
func TestQueueInTheBrowser(t *testing.T) {
	t.Parallel()
	const documents = 20
	s := newSite(t, nil)
	s.bucket.notes("in/", 0, documents)
	s.install(values{"workers": values{"paused": true}})
	s.enqueue(s.bucket.url("in/"), "--partition-documents", "5")
	secret, err := shared.client.CoreV1().Secrets(s.namespace).Get(background(), serverName+"-auth", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token := string(secret.Data["token"])
	pages := s.serverURL("/queues")

	for _, asked := range []struct {
		method, path, token string
		want                int
	}{
		{http.MethodGet, "/", "", http.StatusUnauthorized},
		{http.MethodGet, "/api/queues", "wrong", http.StatusUnauthorized},
		{http.MethodGet, "/api/queues", token, http.StatusOK},
		{http.MethodPost, "/api/queues/documents:pause", token, http.StatusMethodNotAllowed},
		{http.MethodDelete, "/api/queues/documents/pending_tasks:delete_all", token, http.StatusMethodNotAllowed},
	} {
		got, text, err := ask(asked.method, pages+asked.path, asked.token)
		if err != nil || got != asked.want {
			t.Errorf("%s %s is answered %d (%v), want %d: %s", asked.method, asked.path, got, err, asked.want, text)
		}
	}

	browser := openBrowser(t, "anyone", token)
	if text := browser.read(pages+"/", "documents"); strings.Contains(text, "sign in") {
		t.Errorf("the overview says %q", text)
	}
	text := browser.read(pages+"/queues/documents?status=pending", "gistmill:partition")
	if strings.Contains(text, "run_num") || strings.Contains(text, `"profile"`) {
		t.Errorf("the page shows payloads:\n%s", text)
	}
	if n := s.redis.client.LLen(background(), "asynq:{documents}:pending").Val(); n != int64(partitionsOf(documents)) {
		t.Errorf("%d tasks are pending after the visit, want %d", n, partitionsOf(documents))
	}
}

// browser is a Chromium that answers every password prompt.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func openBrowser(t *testing.T, user, password string) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(), patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("no-sandbox", true), // it runs as root, and shows our own pages only
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	// The handler must not wait for the browser, which waits for it. A request that cannot be
	// answered belongs to a page that is gone.
	err := chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *fetch.EventRequestPaused:
			go func() {
				_, _ = chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: event.RequestID})
			}()
		case *fetch.EventAuthRequired:
			go func() {
				_, _ = chromedp.Call(ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
					RequestID: event.RequestID,
					AuthChallengeResponse: &fetch.AuthChallengeResponse{
						Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: user, Password: password,
					},
				})
			}()
		}
	})
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	ask := true
	if _, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &ask}); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &browser{t: t, ctx: ctx}
}

// read opens a page, waits until it shows a text, and returns all that it shows.
func (b *browser) read(url, until string) (text string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.t.Fatalf("open %s: %v", url, err)
	}
	await(b.t, fmt.Sprintf("%q on %s", until, url), time.Minute, func() (err error) {
		if text, err = chromedp.Run(b.ctx, chromedp.Text("body")); err != nil {
			return err
		}
		if !strings.Contains(text, until) {
			return fmt.Errorf("it shows %q", text)
		}
		return nil
	})
	return text
}
