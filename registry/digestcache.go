package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// digestCache remembers the digests of one plugin's files by what the kernel
// says of them: device, inode, size, modification and change time. It makes
// listing, describing and dry runs cheap: reading and hashing a binary of
// 20 MB takes about 20 ms. It is not used before a plugin is started for a
// measurement: the change time catches every ordinary write, but a clock set
// back, a mapped page written late or another machine writing to a network
// file system can leave all of them as they were.
//
// A nil *digestCache remembers nothing.
type digestCache struct {
	file    string
	known   map[string]knownDigest
	changed bool
	now     func() time.Time
}

type knownDigest struct {
	Stamp  fileStamp
	SHA256 string
}

// settledNs is the age of its last change at which a file's stamp is
// believed. Two writes within one tick of the file system's clock (some
// milliseconds; a second on old network file systems) have the same stamp.
const settledNs = int64(time.Second)

func openDigestCache(cacheDir, pluginDir string) *digestCache {
	if cacheDir == "" {
		return nil
	}
	key := sha256.Sum256([]byte(pluginDir))
	c := &digestCache{
		file:  filepath.Join(cacheDir, "digests", hex.EncodeToString(key[:12])+".json"),
		known: map[string]knownDigest{},
		now:   time.Now,
	}
	if data, err := os.ReadFile(c.file); err != nil || json.Unmarshal(data, &c.known) != nil || c.known == nil {
		c.known = map[string]knownDigest{} // absent or damaged: made anew
	}
	return c
}

// digest returns a file's sha256 in hex.
func (c *digestCache) digest(root *os.Root, name string) (string, error) {
	if c == nil {
		sum, _, err := hashFile(root, name)
		return sum, err
	}
	if known, ok := c.known[name]; ok {
		info, err := root.Stat(name)
		if err != nil {
			return "", err
		}
		if stamp, err := stampOf(info); err == nil && stamp == known.Stamp {
			return known.SHA256, nil
		}
	}
	before := c.now().UnixNano()
	sum, stamp, err := hashFile(root, name)
	if err != nil {
		return "", err
	}
	if stamp.CtimeNs+settledNs < before {
		c.known[name] = knownDigest{Stamp: stamp, SHA256: sum}
		c.changed = true
	}
	return sum, nil
}

// save writes what was learnt. Two processes that save at once both write
// true digests, so the last one may win.
func (c *digestCache) save() error {
	if c == nil || !c.changed {
		return nil
	}
	data, err := json.Marshal(c.known)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(c.file, data, 0o600)
}
