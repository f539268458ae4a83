package physical

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill/core/jobgraph"
)

// uidBytes is how much of the hash a uid shows.
const uidBytes = 6

// identify gives vertices and operators their uids: a hash of what the vertex
// does and of the uids of what it reads. Equal vertices are numbered.
func (b *builder) identify() {
	count := map[string]int{}
	for _, v := range b.graph.Vertices {
		h := sha256.New()
		for _, in := range v.Inputs {
			e := b.graph.Exchanges[in]
			fmt.Fprintln(h, b.graph.Vertices[e.Producer].Uid, e.Distribution, e.Keys)
		}
		for _, op := range v.Chain {
			spec := proto.Clone(op).(*jobgraph.Operator)
			spec.Position, spec.Uid = 0, ""
			// Deterministic within one version of the library; a stored plan keeps uids
			// over versions.
			text, err := proto.MarshalOptions{Deterministic: true}.Marshal(spec)
			if err != nil {
				text = []byte(op.Name)
			}
			h.Write(text)
		}
		hash := hex.EncodeToString(h.Sum(nil)[:uidBytes])
		count[hash]++
		v.Uid = fmt.Sprintf("%s-%d", hash, count[hash])
		for i, op := range v.Chain {
			op.Uid = fmt.Sprintf("%s-%d", v.Uid, i)
		}
	}
}
