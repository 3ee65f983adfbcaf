import t from 'tap'
import { testDocument } from '../fixtures/readme/document'

t.jobs = 2

testDocument(t, 'docs/jobs.md')
