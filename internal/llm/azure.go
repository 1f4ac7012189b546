package llm

import (
	"net/url"
	"strings"
)

// Azure has three forms of URLs (https://learn.microsoft.com/azure/ai-services/openai/reference and
// https://learn.microsoft.com/azure/ai-foundry/model-inference/reference):
//
//	https://NAME.openai.azure.com/openai/deployments/MODEL/chat/completions?api-version=…
//	https://NAME.openai.azure.com/openai/v1/chat/completions, api-version is optional
//	https://NAME.services.ai.azure.com/models/chat/completions?api-version=…

// splitVersion takes the API version out of the URL that Azure's portal shows. The version that is
// set takes precedence. Other URLs are returned as they are.
func splitVersion(raw, version string) (string, string) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return raw, version
	}
	query := u.Query()
	named := query.Get("api-version")
	if named == "" || len(query) != 1 {
		return raw, version
	}
	if version == "" {
		version = named
	}
	u.RawQuery = ""
	return u.String(), version
}

// isDirect reports whether the path of an Azure URL is complete: the v1 API, or Foundry's models.
func isDirect(path string) bool {
	return strings.HasSuffix(path, "/openai/v1") || strings.HasSuffix(path, "/models")
}

// azureURL returns the URL of a resource below the base URL, such as "chat/completions". deployment
// is the path of a deployment, which older APIs have in the URL.
func (c *Client) azureURL(deployment, resource string) string {
	base := strings.TrimRight(c.base.String(), "/")
	if !isDirect(c.base.Path) {
		base += "/openai" + deployment
	}
	return base + "/" + resource + "?api-version=" + url.QueryEscape(c.cfg.APIVersion)
}

// CheckBaseURL returns what is wrong with a base URL, or nil. Its error quotes no password.
func CheckBaseURL(raw, apiVersion string) error {
	if strings.TrimSpace(raw) == "" {
		return nil
	}
	raw, apiVersion = splitVersion(raw, apiVersion)
	_, err := parseBaseURL(strings.TrimSpace(raw), apiVersion != "")
	return err
}
