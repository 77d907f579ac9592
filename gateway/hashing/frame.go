package hashing

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What goes over the two pipes: structures of a fixed size, one request and then its
// reply. There are no versions: both ends are the same program.
type (
	request struct {
		ID  identity
		Job Job
	}
	reply struct {
		ID  identity
		Tag Tag
	}
	// identity ties a reply to its request. It is random, so that no other reply and no
	// part of one is taken for it by accident.
	identity [16]byte
)

var order = binary.BigEndian

var errStranger = errors.New("a worker answered another question than it was asked")

// exchange has a worker compute a job. After an error the worker must not be used
// again: what it says next could be the answer to this job.
func exchange(in io.Writer, out io.Reader, job *Job) (Tag, error) {
	asked := request{Job: *job}
	rand.Read(asked.ID[:]) // never fails (crypto/rand since Go 1.24)
	if err := binary.Write(in, order, &asked); err != nil {
		return Tag{}, fmt.Errorf("giving a worker its job: %w", err)
	}
	var told reply
	if err := binary.Read(out, order, &told); err != nil {
		return Tag{}, fmt.Errorf("waiting for a worker: %w", err)
	}
	if told.ID != asked.ID {
		return Tag{}, errStranger
	}
	return told.Tag, nil
}

// readRequest reads one job and refuses what nobody may ask for.
func readRequest(in io.Reader) (*request, error) {
	asked := new(request)
	switch err := binary.Read(in, order, asked); {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("reading a job: %w", err)
	case !asked.Job.Params.Valid():
		return nil, fmt.Errorf("a job asks for %+v", asked.Job.Params)
	}
	return asked, nil
}

// answer reads one job and answers it. io.EOF means that there are no more.
func answer(in io.Reader, out io.Writer) error {
	asked, err := readRequest(in)
	if err != nil {
		return err
	}
	if err := binary.Write(out, order, &reply{ID: asked.ID, Tag: asked.Job.compute()}); err != nil {
		return fmt.Errorf("answering a job: %w", err)
	}
	return nil
}
