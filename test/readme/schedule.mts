const cleanUp = async (): Promise<void> => {}
// --- the block ---
