package openaiserver

import (
	"context"
	"net/url"
	"strings"

	"github.com/llenergymeasure/llem/sdk"
)

// attach connects to a server that is running already.
func (b *backend) attach(ctx context.Context) error {
	if err := checkURL(b.settings); err != nil {
		return err
	}
	b.connect(strings.TrimSuffix(b.settings.String(urlKey, ""), "/"))
	if err := b.awaitReady(ctx); err != nil {
		return err
	}
	return b.ready(ctx)
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
	switch {
	case err != nil:
		return invalid(err.Error())
	case u.Scheme != "http" || u.Hostname() == "":
		return invalid(text + " is no http:// address: what comes encrypted cannot be stamped as it is received")
	}
	return nil
}
