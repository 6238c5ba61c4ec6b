// Reads an operator's log with other people's code: the packages of Go's checksum database (golang.org/x/mod/sumdb),
// which know nothing of Sealift.
//
// Owns what C2SP tlog-tiles changed since that database: the paths of tiles, entry bundles, and the text of a proof file.
// All hashing, all proofs and all signatures are theirs. Prints what it read as JSON; whatever is wrong ends it with code 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8
const width = 1 << height

// A log as it is served.
type server struct {
	url, operator, epoch string
	key                  note.Verifier
}

// What a checkpoint says, after its signature was checked.
type head struct {
	tlog.Tree
	signers int
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: c2sp-log URL OPERATOR EPOCH VKEY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(url, operator, epoch, vkey string) error {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	log := &server{strings.TrimRight(url, "/"), operator, epoch, key}
	text, err := log.file("checkpoint")
	if err != nil {
		return err
	}
	head, err := log.open(text)
	if err != nil {
		return err
	}
	entries, err := log.entries(head.N)
	if err != nil {
		return err
	}
	// The tree, from nothing but the entries.
	var hashes []tlog.Hash
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, hashes[index])
		}
		return found, nil
	})
	for index, entry := range entries {
		more, err := tlog.StoredHashes(int64(index), entry, stored)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(head.N, stored)
	if err != nil {
		return err
	}
	if root != head.Hash {
		return fmt.Errorf("the entries give %v, signed is %v", root, head.Hash)
	}
	// Proofs from nothing but the tiles, which this reader of theirs checks against the signed root.
	tiles := tlog.TileHashReader(head.Tree, log)
	for index, entry := range entries {
		proof, err := tlog.ProveRecord(head.N, int64(index), tiles)
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		if err := tlog.CheckRecord(proof, head.N, head.Hash, int64(index), tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	// A smaller tree is the beginning of this one, by the tiles.
	if old := head.N / 2; old > 0 {
		before, err := tlog.TreeHash(old, stored)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(head.N, old, tiles)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, head.N, head.Hash, old, before); err != nil {
			return err
		}
	}
	for index, entry := range entries {
		if err := log.proofFile(int64(index), entry); err != nil {
			return fmt.Errorf("proof file of entry %d: %w", index, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"size": head.N, "root": head.Hash, "entries": len(entries), "proofs": len(entries),
	})
}

func (log *server) get(path string) ([]byte, error) {
	answer, err := http.Get(log.url + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 32<<20))
}

func (log *server) file(path string) ([]byte, error) {
	return log.get("/v1/log/" + log.operator + "/" + log.epoch + "/" + path)
}

// A signed checkpoint: origin, size and root; further lines are extensions.
func (log *server) open(text []byte) (*head, error) {
	opened, err := note.Open(text, note.VerifierList(log.key))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != log.key.Name() {
		return nil, fmt.Errorf("not a checkpoint of %s", log.key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return nil, err
	}
	return &head{tlog.Tree{N: size, Hash: root}, len(opened.Sigs)}, nil
}

// The number of a tile in the path form of C2SP: x001/234, and .p/W when it is partial.
func number(n int64, w int) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	if w < width {
		text += fmt.Sprintf(".p/%d", w)
	}
	return text
}

func (log *server) entries(size int64) ([][]byte, error) {
	var entries [][]byte
	for first := int64(0); first < size; first += width {
		w := int64(width)
		if size-first < w {
			w = size - first
		}
		path := "tile/entries/" + number(first/width, int(w))
		bundle, err := log.file(path)
		if err != nil {
			return nil, err
		}
		for ; len(bundle) > 0; w-- {
			if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
				return nil, errors.New(path + " is cut off")
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			entries = append(entries, bundle[2:end])
			bundle = bundle[end:]
		}
		if w != 0 {
			return nil, errors.New(path + " has another number of entries")
		}
	}
	return entries, nil
}

// Height, ReadTiles and SaveTiles make the server what their reader of tiles asks.
func (log *server) Height() int { return height }

func (log *server) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, err := log.file(fmt.Sprintf("tile/%d/%s", tile.L, number(tile.N, tile.W)))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %v has %d bytes", tile, len(data))
		}
		all = append(all, data)
	}
	return all, nil
}

func (log *server) SaveTiles([]tlog.Tile, [][]byte) {}

// c2sp.org/tlog-proof: a header, the index, the hashes, an empty line, and a checkpoint.
func (log *server) proofFile(index int64, entry []byte) error {
	var leaf struct {
		UnitKey string `json:"unit_key"`
	}
	if err := json.Unmarshal(entry, &leaf); err != nil {
		return err
	}
	text, err := log.get("/v1/proof/" + log.operator + "/" + log.epoch + "/" + leaf.UnitKey + ".tlog-proof")
	if err != nil {
		return err
	}
	top, checkpoint, found := strings.Cut(string(text), "\n\n")
	lines := strings.Split(top, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", index) {
		return errors.New("not a proof file of this entry")
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		bytes, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(bytes) != tlog.HashSize {
			return errors.New("not a hash: " + line)
		}
		proof = append(proof, *(*tlog.Hash)(bytes))
	}
	head, err := log.open([]byte(checkpoint))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, head.N, head.Hash, index, tlog.RecordHash(entry))
}
