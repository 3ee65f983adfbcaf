// --- the block ---
// What it shows crossing is what processes ask of each other.
for (const word of ['list', 'get', 'cancel', 'purge', 'heartbeat', 'events', 'beat']) assert.ok(block.includes(word))
assert.equal(new Set(block.trimEnd().split('\n').slice(1).map((line) => line.length)).size <= 2, true)
