import { setTimeout } from 'node:timers/promises'
await app.ready()
// --- the block ---
