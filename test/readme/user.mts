const buildReport = async (): Promise<string> => 'a report'
// --- the block ---
