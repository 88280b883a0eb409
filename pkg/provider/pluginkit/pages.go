package pluginkit

import (
	"context"
	"fmt"
)

// maxPages bounds a list: an API that always says that there is one more page must not fill the memory.
const maxPages = 10_000

// Pages returns the items of all pages of a list, or an error and none: taskscaler concludes that a machine is gone when a list lacks it, so half a list is
// worse than none. fetch returns one page and the token of the next one, which is "" after the last page. The first token is "". A token that comes twice,
// and more than 10,000 pages, are errors.
func Pages[T any](ctx context.Context, fetch func(ctx context.Context, token string) (items []T, next string, err error)) ([]T, error) {
	var all []T
	seen := map[string]bool{}
	for token := ""; ; {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("listing page %d: %w", len(seen)+1, context.Cause(ctx))
		}
		items, next, err := fetch(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("listing page %d: %w", len(seen)+1, err)
		}
		all = append(all, items...)
		switch {
		case next == "":
			return all, nil
		case seen[next]:
			return nil, fmt.Errorf("listing page %d: the API returned the token of a page that it has sent already", len(seen)+1)
		case len(seen) == maxPages:
			return nil, fmt.Errorf("listing: the API has more than %d pages", maxPages)
		}
		seen[next] = true
		token = next
	}
}

// NumberedPages is Pages for an API that counts its pages. fetch gets the number of the page, which begins at 1, and returns whether there is another one.
func NumberedPages[T any](ctx context.Context, fetch func(ctx context.Context, page int) (items []T, more bool, err error)) ([]T, error) {
	page := 0
	return Pages(ctx, func(ctx context.Context, _ string) ([]T, string, error) {
		page++
		items, more, err := fetch(ctx, page)
		if !more {
			return items, "", err
		}
		return items, fmt.Sprint(page + 1), err
	})
}
