// Command judge checks an exported ledger with Go's own checksum-database code: note for the
// signature of the checkpoint, tlog for root, inclusion and consistency. It shares nothing with the
// program that wrote the export.
//
// Usage: judge DIR [proofs.json]
//
// proofs.json holds proofs that the ledger's own code made; each must convince tlog.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// head is what a checkpoint states.
type head struct {
	origin string
	size   int64
	root   tlog.Hash
}

type inclusion struct {
	Index, Size int64
	Leaf, Root  string
	Proof       []string
}

type consistency struct {
	Old, New         int64
	OldRoot, NewRoot string
	Proof            []string
}

type proofs struct {
	Inclusion   []inclusion
	Consistency []consistency
}

// cosigner verifies cosignature/v1 lines, which package note leaves to others.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	moment := binary.BigEndian.Uint64(signature)
	message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", moment)), text...)
	return ed25519.Verify(c.key, message, signature[8:])
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: judge DIR [proofs.json]")
		os.Exit(2)
	}
	if err := judge(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
	fmt.Println("holds")
}

func judge(dir string, proofFiles []string) error {
	logs, cosigners, err := readKeys(filepath.Join(dir, "vkeys"))
	if err != nil {
		return err
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	opened, err := note.Open(checkpoint, note.VerifierList(logs...))
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	newest, err := parseHead(opened.Text)
	if err != nil {
		return err
	}
	if opened.Sigs[0].Name != newest.origin {
		return fmt.Errorf("the checkpoint of %s is signed by %s", newest.origin, opened.Sigs[0].Name)
	}
	stored, size, err := readEntries(dir)
	if err != nil {
		return err
	}
	if size != newest.size {
		return fmt.Errorf("%d entries, the checkpoint states %d", size, newest.size)
	}
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		return err
	}
	if root != newest.root {
		return errors.New("the entries have another root than the checkpoint")
	}
	if err := checkTree(size, root, stored); err != nil {
		return err
	}
	if err := checkCosigned(dir, cosigners, newest, stored); err != nil {
		return err
	}
	for _, file := range proofFiles {
		if err := checkProofs(file); err != nil {
			return err
		}
	}
	return nil
}

func readKeys(path string) (logs, cosigners []note.Verifier, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if verifier, err := note.NewVerifier(line); err == nil {
			logs = append(logs, verifier)
			continue
		}
		parts := strings.SplitN(line, "+", 3)
		if len(parts) != 3 {
			return nil, nil, fmt.Errorf("malformed key %q", line)
		}
		material, err := base64.StdEncoding.DecodeString(parts[2])
		if err != nil || len(material) != 33 || material[0] != 4 {
			return nil, nil, fmt.Errorf("unknown key %q", line)
		}
		sum := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
		id := binary.BigEndian.Uint32(sum[:])
		if fmt.Sprintf("%08x", id) != parts[1] {
			return nil, nil, fmt.Errorf("the id of %q does not match", line)
		}
		cosigners = append(cosigners, &cosigner{parts[0], id, material[1:]})
	}
	return logs, cosigners, nil
}

func parseHead(text string) (head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return head{}, errors.New("a checkpoint has three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, errors.New("malformed size")
	}
	root, err := tlog.ParseHash(lines[2])
	return head{lines[0], size, root}, err
}

// readEntries hashes every line and compares it with the file of leaf hashes.
func readEntries(dir string) (tlog.HashReader, int64, error) {
	file, err := os.Open(filepath.Join(dir, "entries.jsonl"))
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	leaves, err := os.ReadFile(filepath.Join(dir, "leaves"))
	if err != nil {
		return nil, 0, err
	}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, 0, len(indexes))
		for _, index := range indexes {
			found = append(found, hashes[index])
		}
		return found, nil
	})
	var size int64
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			break
		}
		if err != nil {
			return nil, 0, errors.New("the last line has no newline")
		}
		line = line[:len(line)-1]
		more, err := tlog.StoredHashes(size, line, reader)
		if err != nil {
			return nil, 0, err
		}
		leaf := tlog.RecordHash(line)
		if int64(len(leaves)) < 32*(size+1) || !bytes.Equal(leaf[:], leaves[32*size:32*size+32]) {
			return nil, 0, fmt.Errorf("entry %d does not hash to its leaf", size)
		}
		hashes = append(hashes, more...)
		size++
	}
	if int64(len(leaves)) != 32*size {
		return nil, 0, errors.New("leaves without entries")
	}
	return reader, size, nil
}

// checkTree proves some entries and some earlier sizes, and checks its own proofs.
func checkTree(size int64, root tlog.Hash, stored tlog.HashReader) error {
	for at := int64(0); at < size; at += 1 + size/17 {
		proof, err := tlog.ProveRecord(size, at, stored)
		if err != nil {
			return err
		}
		indexes := []int64{tlog.StoredHashIndex(0, at)}
		leaf, err := stored.ReadHashes(indexes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, size, root, at, leaf[0]); err != nil {
			return err
		}
		old, err := tlog.TreeHash(at+1, stored)
		if err != nil {
			return err
		}
		grown, err := tlog.ProveTree(size, at+1, stored)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(grown, size, root, at+1, old); err != nil {
			return err
		}
	}
	return nil
}

func checkCosigned(dir string, keys []note.Verifier, newest head, stored tlog.HashReader) error {
	data, err := os.ReadFile(filepath.Join(dir, "cosignatures"))
	if err != nil {
		return err
	}
	blocks := strings.Split(string(data), "\n\n")
	if len(data) == 0 {
		return nil
	}
	if len(blocks)%2 != 0 {
		return errors.New("cosignatures are not whole notes")
	}
	for at := 0; at < len(blocks); at += 2 {
		whole := blocks[at] + "\n\n" + strings.TrimSuffix(blocks[at+1], "\n") + "\n"
		opened, err := note.Open([]byte(whole), note.VerifierList(keys...))
		if err != nil {
			return fmt.Errorf("cosigned head: %w", err)
		}
		old, err := parseHead(opened.Text)
		if err != nil {
			return err
		}
		if old.origin != newest.origin || old.size > newest.size {
			return errors.New("a cosigned head is of another ledger or a larger one")
		}
		root, err := tlog.TreeHash(old.size, stored)
		if err != nil {
			return err
		}
		if root != old.root {
			return fmt.Errorf("the first %d entries are not those that were cosigned", old.size)
		}
	}
	return nil
}

func checkProofs(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var given proofs
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	for _, one := range given.Inclusion {
		hashes, err := parseHashes(append([]string{one.Leaf, one.Root}, one.Proof...))
		if err != nil {
			return err
		}
		proof := tlog.RecordProof(hashes[2:])
		if err := tlog.CheckRecord(proof, one.Size, hashes[1], one.Index, hashes[0]); err != nil {
			return fmt.Errorf("inclusion of %d in %d: %w", one.Index, one.Size, err)
		}
	}
	for _, one := range given.Consistency {
		hashes, err := parseHashes(append([]string{one.OldRoot, one.NewRoot}, one.Proof...))
		if err != nil {
			return err
		}
		proof := tlog.TreeProof(hashes[2:])
		if err := tlog.CheckTree(proof, one.New, hashes[1], one.Old, hashes[0]); err != nil {
			return fmt.Errorf("consistency of %d with %d: %w", one.Old, one.New, err)
		}
	}
	return nil
}

func parseHashes(texts []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, len(texts))
	for _, text := range texts {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
