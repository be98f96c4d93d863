package llem

import (
	"os"
	"path/filepath"

	"github.com/llenergymeasure/llem/core/study"
)

func (p *Prepared) cacheDir(kind string) string {
	return filepath.Join(CacheDir(p.User), kind)
}

// CacheDir is where llem keeps what it can make again.
func CacheDir(user study.UserConfig) string {
	if user.CacheDir != "" {
		return user.CacheDir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		// Without a home directory there is only the temporary one.
		base = os.TempDir()
	}
	return filepath.Join(base, "llem")
}
