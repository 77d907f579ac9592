package directory

import (
	"context"

	"clinicgate/gateway/database"
	"clinicgate/policy"
)

// DiffTexts is diff, for tests.
var DiffTexts = diff

// Recode decodes a stored document and encodes it again.
func Recode(text string) (string, error) {
	doc, err := decodeDocument(text)
	if err != nil {
		return "", err
	}
	return encodeDocument(doc)
}

// ReadNow does the first half of a Reload; the function it returns does the second.
func (d *Directory) ReadNow(ctx context.Context, ids ...policy.PracticeID) (publish func(), err error) {
	var rows []*row
	err = d.reg.Read(ctx, func(tx *database.Tx) (err error) {
		rows, err = readRows(ctx, tx, ids)
		return err
	})
	return func() { d.publish(rows...) }, err
}
