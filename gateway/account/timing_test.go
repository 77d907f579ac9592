package account_test

import (
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"clinicgate/gateway/account"
	"clinicgate/gateway/database"
	"clinicgate/gateway/hashing"
	"clinicgate/gateway/vault"
)

// BenchmarkRefusals measures THREATS L1: it tries every kind of refusal in turn
// and reports how far the slowest and the quickest median are apart, in percent
// and in microseconds. It reports and does not fail: a busy machine is no bug.
// "all but the hash" has next to no hash in it, so what is apart there is what
// is not the same for all; on two cores it was 8 µs, of about 30 ms in "real".
//
//	go test ./gateway/account -run '^$' -bench Refusals -benchtime 500x
func BenchmarkRefusals(b *testing.B) {
	b.Run("real", func(b *testing.B) { measureRefusals(b, account.DefaultHash, hashing.NewLocal(0, 0)) })
	b.Run("all but the hash", func(b *testing.B) { measureRefusals(b, tiny, hashing.NewLocal(0, 0)) })
	workers := hashing.New(slog.Default)
	defer workers.Close()
	workers.Warm()
	b.Run("real in workers", func(b *testing.B) { measureRefusals(b, account.DefaultHash, workers) })
	b.Run("all but the hash in workers", func(b *testing.B) { measureRefusals(b, tiny, workers) })
}

func measureRefusals(b *testing.B, cost account.HashParams, hashes *hashing.Pool) {
	ctx := b.Context()
	db, err := database.Open(ctx, database.Options{Dir: b.TempDir()})
	orFail(b, err)
	defer db.Close()
	orFail(b, db.Create(ctx, harbour))
	keyFile := filepath.Join(b.TempDir(), "master.key")
	orFail(b, vault.CreateMasterKey(keyFile))
	v, err := vault.Open(ctx, keyFile, db.Registry(), time.Now)
	orFail(b, err)
	s := account.New(account.Options{DB: db, Vault: v, Changed: account.NobodySignedIn, Hash: cost, Hashes: hashes})
	add := func(email, password string) account.Person {
		p, err := s.Add(ctx, harbour, account.NewPerson{Email: email, Name: "Somebody", Password: vault.NewSecret(password)})
		orFail(b, err)
		return p
	}
	add("known@harbour.test", goodPass)
	add("sso@harbour.test", "")
	orFail(b, s.SetDisabled(ctx, harbour, add("disabled@harbour.test", goodPass).ID, true))

	emails := []string{"known@harbour.test", "unknown@harbour.test", "sso@harbour.test", "disabled@harbour.test", "someone@acacia.test", "not an address"}
	took := make([][]float64, len(emails))
	wrong := vault.NewSecret("wrong lantern oboe tundra")
	for b.Loop() {
		// In another order each time: garbage is collected every few hashes,
		// and must not always fall on the same one.
		for _, i := range rand.Perm(len(emails)) {
			began := time.Now()
			if _, err := s.CheckPassword(ctx, harbour, emails[i], wrong); err != account.ErrRefused {
				b.Fatal(err)
			}
			took[i] = append(took[i], float64(time.Since(began)))
		}
	}
	var medians []float64
	for i := range emails {
		slices.Sort(took[i])
		medians = append(medians, took[i][len(took[i])/2])
		b.Logf("%-24s %7.3f ms", emails[i], medians[i]/1e6)
	}
	b.ReportMetric(100*(slices.Max(medians)/slices.Min(medians)-1), "%apart")
	b.ReportMetric((slices.Max(medians)-slices.Min(medians))/1e3, "µs-apart")
}

func BenchmarkStrength(b *testing.B) {
	for name, s := range map[string]string{
		"usual": goodPass, "worst letters": "4@8({[<36 9cfa1b2d4@8({[<36 9cfa1b2d4@8({[<36 9cfa1b2d4@8({[<369",
		"all signs": "4@8({[<3691!|70$5+%2aB4@8({[<3691!|70$5+%2cD4@8({[<3691!|70$5+%2",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				account.Strength(s, ownWords)
			}
		})
	}
}

func orFail(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
