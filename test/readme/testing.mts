const buildReport = async (): Promise<{ rows: number }> => ({ rows: 42 })
app.post('/reports', async (request, reply) => {
  return reply.code(202).send({ task: app.addTask(buildReport, { name: `report:${request.id}` }).name })
})
// --- the block ---
