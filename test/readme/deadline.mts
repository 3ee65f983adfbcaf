import { setTimeout } from 'node:timers/promises'
await app.ready()
const fetchPrices = (signal: AbortSignal): Promise<void> => setTimeout(60_000, undefined, { signal })
// --- the block ---
