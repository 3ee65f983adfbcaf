await app.ready()
// --- the block ---
