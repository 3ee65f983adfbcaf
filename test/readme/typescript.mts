await app.ready()
// --- the block ---
assert.equal(rows, 42)
assert.deepEqual(report, { rows: 42 })
assert.equal(snapshot.state, 'completed')
