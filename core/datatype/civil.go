package datatype

// Civil is the date of a day since 1970-01-01, in the proleptic Gregorian
// calendar: March is the first month of the computation's year, so that a leap
// day is its last.
func Civil(day int64) (year, month, dayOfMonth int64) {
	day += 719468
	if uint64(day) < 1<<31 { // after the year 0: unsigned 32-bit divisions by constants
		y, m, d := civil32(uint32(day))
		return int64(y), int64(m), int64(d)
	}
	era := day / 146097
	if day%146097 < 0 { // round down before the year 0
		era--
	}
	doe := day - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year, month, dayOfMonth = yoe+era*400, mp+3, doy-(153*mp+2)/5+1
	if month > 12 {
		return year + 1, month - 12, dayOfMonth
	}
	return year, month, dayOfMonth
}

func civil32(day uint32) (year, month, dayOfMonth uint32) {
	era := day / 146097
	doe := day - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year, month, dayOfMonth = yoe+era*400, mp+3, doy-(153*mp+2)/5+1
	if month > 12 {
		return year + 1, month - 12, dayOfMonth
	}
	return year, month, dayOfMonth
}
