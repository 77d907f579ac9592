package directory

import (
	"context"
	"encoding/hex"

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

// Digest is the hash of a version that follows one with the hash previous.
func Digest(id policy.PracticeID, number, generation, at int64, by Author, document string, previous []byte) string {
	v := version{Practice: id, Number: number, Generation: generation, Document: document, Author: by, At: at, Previous: previous}
	return hex.EncodeToString(v.digest())
}

// Forge changes the reason of a version as somebody would who knows how hashes are made: it puts in the right hash of
// the version, and a link to it into the next one.
func (d *Directory) Forge(ctx context.Context, id policy.PracticeID, number int64) error {
	return d.reg.Write(ctx, func(tx *database.Tx) error {
		v, err := readVersion(ctx, tx, id, number)
		if err != nil {
			return err
		}
		v.Author.Why = "forged"
		if _, err := tx.Exec(ctx, `UPDATE policy_version SET why = $1, hash = $2 WHERE practice = $3 AND version = $4`,
			v.Author.Why, v.digest(), string(id), number); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE policy_version SET previous = $1 WHERE practice = $2 AND version = $3`, v.digest(), string(id), number+1)
		return err
	})
}

// Plant replaces the document of the first version as another release of the gateway would have written it.
func (d *Directory) Plant(ctx context.Context, id policy.PracticeID, edit func(string) string) error {
	return d.reg.Write(ctx, func(tx *database.Tx) error {
		v, err := readVersion(ctx, tx, id, 1)
		if err != nil {
			return err
		}
		v.Document = edit(v.Document)
		_, err = tx.Exec(ctx, `UPDATE policy_version SET document = $1, hash = $2 WHERE practice = $3 AND version = 1`,
			v.Document, v.digest(), string(id))
		return err
	})
}
