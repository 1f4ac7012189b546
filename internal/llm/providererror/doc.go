// Package providererror reads what an endpoint says when it gives no answer: the error in a body of
// any form, what its words mean, and how long it asks to wait. It decides no class and knows no
// HTTP client; internal/llm does.
//
// Each table of words is the last resort. Shapes, codes and numbers go first, because endpoints say
// the same in other words, with other statuses and in other places.
package providererror
