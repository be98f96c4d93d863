package openaiserver

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// attach connects to a server that is running already.
func (b *backend) attach(ctx context.Context, cell sdk.Cell) error {
	if err := checkURL(b.settings); err != nil {
		return err
	}
	b.connect(strings.TrimRight(b.settings.String(urlKey, ""), "/"))
	if err := b.awaitReady(ctx); err != nil {
		return err
	}
	return b.ready(ctx, modelOf(cell))
}

func checkURL(settings sdk.Table) error {
	invalid := func(message string) error {
		return &sdk.Error{Code: sdk.UnsupportedParameter, KeyPath: urlKey, Message: message, Advice: "write it as http://127.0.0.1:8000"}
	}
	text := settings.String(urlKey, "")
	if text == "" {
		return invalid(`mode = "attach" needs the server's address`)
	}
	u, err := url.Parse(text)
	var bad *url.Error
	switch {
	case errors.As(err, &bad):
		return invalid(bad.Err.Error()) // without the address, which may hold a password
	case u.User != nil:
		return invalid("it holds a user's name, and would be stored with the results: a key belongs into " + apiKeyKey)
	case u.RawQuery != "" || u.Fragment != "":
		return invalid(text + " has a query: paths such as /v1/models are to follow it")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1"):
		return invalid(text + " ends in /v1, which is a part of the paths that follow it")
	case u.Scheme != "http" || u.Hostname() == "":
		return invalid(text + " is no http:// address: what comes encrypted cannot be stamped as it is received")
	}
	return nil
}
