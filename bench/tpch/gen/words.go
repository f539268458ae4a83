package gen

import (
	"strconv"
	"strings"
)

// words are texts to draw from, each as many times as it weighs.
type words []string

func (w words) draw(s *stream) string { return w[s.between(0, int64(len(w))-1)] }

// weighted reads "text|weight" by commas; a text without a weight weighs one.
func weighted(list string) words {
	var w words
	for _, entry := range strings.Split(list, ",") {
		text, weight, _ := strings.Cut(entry, "|")
		n, err := strconv.Atoi(weight)
		if err != nil {
			n = 1
		}
		for range n {
			w = append(w, text)
		}
	}
	return w
}

// product joins every text of the first list to every one of the others.
func product(lists ...string) words {
	all := words{""}
	for _, list := range lists {
		var longer words
		for _, head := range all {
			for _, tail := range strings.Split(list, ",") {
				longer = append(longer, strings.TrimSpace(head+" "+tail))
			}
		}
		all = longer
	}
	return all
}

// vocabulary is every list the tables draw from.
type vocabulary struct {
	colors, types, containers           words
	segments, priorities                words
	instructions, modes, returned       words
	regions, nations                    []string
	regionOf                            []int64
	nouns, verbs, adverbs, adjectives   words
	prepositions, auxiliaries, articles words
	terminators                         words
	sentences, nounPhrases, verbPhrases words
}

func newVocabulary() *vocabulary {
	return &vocabulary{
		colors: weighted("almond,antique,aquamarine,azure,beige,bisque,black,blanched,blue,blush,brown,burlywood,burnished,chartreuse," +
			"chiffon,chocolate,coral,cornflower,cornsilk,cream,cyan,dark,deep,dim,dodger,drab,firebrick,floral,forest,frosted,gainsboro," +
			"ghost,goldenrod,green,grey,honeydew,hot,indian,ivory,khaki,lace,lavender,lawn,lemon,light,lime,linen,magenta,maroon,medium," +
			"metallic,midnight,mint,misty,moccasin,navajo,navy,olive,orange,orchid,pale,papaya,peach,peru,pink,plum,powder,puff,purple,red," +
			"rose,rosy,royal,saddle,salmon,sandy,seashell,sienna,sky,slate,smoke,snow,spring,steel,tan,thistle,tomato,turquoise,violet," +
			"wheat,white,yellow"),
		types:        product("STANDARD,SMALL,MEDIUM,LARGE,ECONOMY,PROMO", "ANODIZED,BURNISHED,PLATED,POLISHED,BRUSHED", "TIN,NICKEL,BRASS,STEEL,COPPER"),
		containers:   product("SM,LG,MED,JUMBO,WRAP", "CASE,BOX,BAG,JAR,PACK,PKG,CAN,DRUM"),
		segments:     weighted("AUTOMOBILE,BUILDING,FURNITURE,HOUSEHOLD,MACHINERY"),
		priorities:   weighted("1-URGENT,2-HIGH,3-MEDIUM,4-NOT SPECIFIED,5-LOW"),
		instructions: weighted("DELIVER IN PERSON,COLLECT COD,TAKE BACK RETURN,NONE"),
		modes:        weighted("REG AIR,AIR,RAIL,TRUCK,MAIL,FOB,SHIP"),
		returned:     weighted("R,A"),
		regions:      []string{"AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"},
		nations: []string{
			"ALGERIA", "ARGENTINA", "BRAZIL", "CANADA", "EGYPT", "ETHIOPIA", "FRANCE", "GERMANY", "INDIA", "INDONESIA", "IRAN", "IRAQ", "JAPAN",
			"JORDAN", "KENYA", "MOROCCO", "MOZAMBIQUE", "PERU", "CHINA", "ROMANIA", "SAUDI ARABIA", "VIETNAM", "RUSSIA", "UNITED KINGDOM", "UNITED STATES",
		},
		regionOf: []int64{0, 1, 1, 1, 4, 0, 3, 3, 2, 2, 4, 4, 2, 4, 0, 0, 0, 1, 2, 3, 4, 2, 3, 3, 1},
		nouns: weighted("packages|40,requests|40,accounts|40,deposits|40,foxes|20,ideas|20,theodolites|20,pinto beans|20,instructions|20," +
			"dependencies|10,excuses|10,platelets|10,asymptotes|10,courts|5,dolphins|5,multipliers,sauternes,warthogs,frets,dinos,attainments," +
			"somas,Tiresias,patterns,forges,braids,frays,warhorses,dugouts,notornis,epitaphs,pearls,tithes,waters,orbits,gifts,sheaves,depths," +
			"sentiments,decoys,realms,pains,grouches,escapades,hockey players"),
		verbs: weighted("sleep|20,wake|20,are|20,cajole|20,haggle|20,nag|10,use|10,boost|10,affix|5,detect|5,integrate|5,maintain,nod,was,lose," +
			"sublate,solve,thrash,promise,engage,hinder,print,x-ray,breach,eat,grow,impress,mold,poach,serve,run,dazzle,snooze,doze,unwind," +
			"kindle,play,hang,believe,doubt"),
		adverbs: weighted("sometimes,always,never,furiously|50,slyly|50,carefully|50,blithely|40,quickly|30,fluffily|20,slowly,quietly,ruthlessly," +
			"thinly,closely,doggedly,daringly,bravely,stealthily,permanently,enticingly,idly,busily,regularly,finally,ironically,evenly,boldly,silently"),
		adjectives: weighted("special|20,pending|20,unusual|20,express|20,furious,sly,careful,blithe,quick,fluffy,slow,quiet,ruthless,thin,close," +
			"dogged,daring,brave,stealthy,permanent,enticing,idle,busy,regular|50,final|40,ironic|40,even|30,bold|20,silent|10"),
		// The word "whithout" is spelled as the specification's generator has it.
		prepositions: weighted("about|50,above|50,according to|50,across|50,after|50,against|40,along|40,alongside of|30,among|30,around|20,at|10," +
			"atop,before,behind,beneath,beside,besides,between,beyond,by,despite,during,except,for,from,in place of,inside,instead of,into,near,of," +
			"on,outside,over,past,since,through,throughout,to,toward,under,until,up,upon,whithout,with,within"),
		auxiliaries: weighted("do,may,might,shall,will,would,can,could,should,ought to,must,will have to,shall have to,could have to,should have to," +
			"must have to,need to,try to"),
		articles:    weighted("the|50,a|20,an|5"),
		terminators: weighted(".|50,;,:,?,!,--"),
		// N: noun phrase, V: verb phrase, P: preposition with a noun phrase, T: the end.
		sentences: weighted("NVT|3,NVPT|3,NVNT|3,NPVNT,NPVPT"),
		// N: noun, J: adjective, K: adjective with a comma, D: adverb.
		nounPhrases: weighted("N|10,JN|20,KJN|10,DJN|50"),
		// V: verb, X: auxiliary, D: adverb.
		verbPhrases: weighted("V|30,XV,VD|40,XVD"),
	}
}
