import { sharedPostgres } from 'test/fixtures/postgres.js'
const postgres = await sharedPostgres()
process.env.DATABASE_URL = postgres.url
const resize = async (id: number, signal: AbortSignal) => `thumbnail-${id}.png`
// --- the block ---
await app.close()
await postgres.close()
