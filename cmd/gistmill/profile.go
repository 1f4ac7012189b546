package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// profile reads the profile that the settings describe. Without a prompt version in the
// settings it has the newest; [app.profileFor] takes the source into account.
func (a *app) profile() (summarize.Profile, error) {
	p := summarize.Profile{Model: a.config.Model, Words: a.config.Words}.
		WithPromptVersion(cmp.Or(a.config.PromptVersion, summarize.PromptV2))
	if p.Model == summarize.Extractive {
		return p, p.Validate()
	}
	// Before planning: the clients are made with the worker, when the run is there already.
	if err := llm.CheckBaseURL(a.config.BaseURL, a.config.APIVersion); err != nil {
		return p, &config.InvalidError{Problems: []string{err.Error()}}
	}
	p.MaxOutputTokens, p.Temperature = a.config.MaxOutputTokens, a.config.Temperature
	if a.config.Language != config.LanguageSame {
		tag, err := text.LanguageTag(a.config.Language)
		if err != nil {
			return p, err // the settings are checked
		}
		p.Language = tag
	}
	p.ReasoningEffort = a.config.ReasoningEffort
	if a.config.RequestExtra != "" {
		p.RequestExtra = json.RawMessage(a.config.RequestExtra)
	}
	if a.config.Prompt != "" {
		text, err := os.ReadFile(a.config.Prompt)
		if err != nil {
			return p, fmt.Errorf("read the prompt: %w", err)
		}
		p.Prompt = string(text)
	}
	if a.config.Schema != "" {
		text, err := os.ReadFile(a.config.Schema)
		if err != nil {
			return p, fmt.Errorf("read the schema: %w", err)
		}
		p.Schema = json.RawMessage(text)
	}
	if err := p.Validate(); err != nil {
		return p, &config.InvalidError{Problems: strings.Split(err.Error(), "\n")}
	}
	return p, nil
}

// profileFor is the profile for a source. Without a prompt version in the settings, a source
// keeps the version that it uses: other prompts would make, and charge for, every summary
// again. A new source gets the newest.
func (a *app) profileFor(ctx context.Context, sourceURL string) (summarize.Profile, error) {
	newest, err := a.profile()
	if err != nil || a.config.PromptVersion != "" || newest.Model == summarize.Extractive || newest.Language != "" {
		return newest, err // v1 has no language
	}
	v1 := newest.WithPromptVersion(summarize.PromptV1)
	used, err := a.ledger.ProfileInUse(ctx, sourceURL, v1.Hash(), newest.Hash())
	if err != nil || used != v1.Hash() {
		return newest, err
	}
	a.log.Info("source stays on prompt version v1; --prompt-version v2 changes it", "source", sourceURL)
	return v1, nil
}
