package gateway

import "regexp"

// portugueseSentences has the Brazilian sentence of every code that callers of
// the API may see. Codes never change, sentences may. Nobody writes to it.
var portugueseSentences = map[string]string{
	// the door
	"UNAUTHORIZED":           "A chave de API está ausente ou não é válida.",
	"KEY_EXPIRED":            "Esta chave de API expirou.",
	"AUTH_BUSY":              "O servidor está verificando chaves demais neste momento; tente de novo.",
	"INSUFFICIENT_SCOPE":     "Esta chave não tem o escopo que a rota exige.",
	"INSTANCE_NOT_ALLOWED":   "Esta chave não abre esta instância.",
	"KEY_IS_INSTANCE_LOCKED": "Esta chave está presa a instâncias e não pode agir sobre o workspace.",
	"WRONG_ENVIRONMENT":      "Esta rota não existe no ambiente desta chave.",
	"RATE_LIMITED":           "Pedidos demais para esta chave; espere e tente de novo.",
	"INSTANCE_REQUIRED":      "Esta chave não está presa a exatamente uma instância: diga qual usar; para mensagens, com /v1/instances/{instance}/messages.",

	// requests
	"BAD_REQUEST":              "O pedido não pode ser entendido.",
	"INVALID_JSON":             "O corpo não é JSON válido: um objeto em UTF-8, sem nomes repetidos e sem nada depois dele.",
	"VALIDATION_FAILED":        "O pedido tem campos que não são válidos.",
	"INVALID_RECIPIENT":        "O destinatário não pode ser um endereço do WhatsApp.",
	"UNSUPPORTED_MESSAGE_TYPE": "Mensagens deste tipo não podem ser enviadas.",
	"SANDBOX_RECIPIENT":        "Este número pertence ao sandbox e só recebe mensagens de chaves de teste.",
	"PAYLOAD_TOO_LARGE":        "O corpo é maior do que esta rota aceita.",
	"HEADERS_TOO_LARGE":        "Os cabeçalhos do pedido passam de 16 KiB.",
	"UNSUPPORTED_MEDIA_TYPE":   "O corpo deve ser JSON sem compressão: envie Content-Type: application/json.",
	"IDEMPOTENCY_KEY_REUSED":   "Esta Idempotency-Key já foi usada com outro corpo.",
	"IDEMPOTENCY_IN_PROGRESS":  "Um pedido com esta Idempotency-Key está sendo respondido; tente de novo.",

	// objects
	"NOT_FOUND":          "Não há nada aqui.",
	"INSTANCE_NOT_FOUND": "Esta instância não existe.",
	"METHOD_NOT_ALLOWED": "Esta rota não aceita este método; o cabeçalho Allow diz quais aceita.",
	"CONFLICT":           "O estado atual do objeto não permite isto.",
	"NAME_TAKEN":         "Este nome já está em uso.",

	// acts on messages
	"MESSAGE_TOO_OLD":    "A mensagem foi enviada há tempo demais para isto.",
	"REFUSED_BY_NETWORK": "O WhatsApp não aceitou isto.",

	// media
	"MEDIA_EMPTY":       "O arquivo está vazio.",
	"URL_NOT_ALLOWED":   "Esta URL não pode ser usada: ela deve ter um esquema aceito, como http ou https, e levar a um endereço público.",
	"MEDIA_UNREACHABLE": "O arquivo não pôde ser obtido da sua URL.",

	// connections and pairing
	"INSTANCE_ALREADY_CONNECTED": "A instância já está conectada.",
	"UNRECORDABLE":               "Isto não pode ser registrado.",
	"INSTANCE_NOT_PAIRING":       "A instância não está sendo pareada; peça antes uma conexão.",
	"INSTANCE_NOT_CONNECTED":     "A instância não está conectada.",
	"PROXY_UNREADABLE":           "O proxy da instância não pode ser lido; defina proxy_url de novo.",
	"PAIRING_LINK_EXPIRED":       "Este link expirou; peça um novo.",
	"PAIRING_LINK_USED":          "Um celular já foi conectado com este link; ele não pode ser usado de novo.",
	"PAIRING_LINK_BLOCKED":       "Este link foi encerrado por excesso de PINs incorretos; peça um novo.",
	"PAIRING_PIN_REQUIRED":       "Este link pede o seu PIN.",
	"PAIRING_PIN_WRONG":          "O PIN está incorreto.",

	// the sandbox
	"PAIRING_CODE_WRONG":      "Este não é o código que a instância mostra.",
	"SANDBOX_RUN_IN_PROGRESS": "A instância está em outra execução; espere que termine ou deixe instance de fora.",

	// events and webhooks
	"TOO_MANY_WEBHOOKS": "O ambiente já tem tantos webhooks quanto pode ter; apague um antes.",
	"WEBHOOK_DISABLED":  "O webhook está desativado; ative-o antes.",
	"TOO_SLOW":          "Você lê mais devagar do que os eventos acontecem: conecte de novo com Last-Event-ID e ouça menos tipos.",

	// the house
	"INTERNAL":      "Algo deu errado do nosso lado; o request_id o localiza no log.",
	"UNAVAILABLE":   "O serviço não pode fazer isto agora; tente de novo.",
	"SHUTTING_DOWN": "O servidor está parando; tente de novo.",
}

// portugueseRules says what a refused field is told in Portuguese, by the rule
// that it breaks. Nobody writes to it.
var portugueseRules = map[string]string{
	"required":    "é obrigatório",
	"unknown":     "não é um campo conhecido",
	"type":        "tem o tipo errado",
	"enum":        "não é um dos valores possíveis",
	"duration":    "deve ser um número inteiro com unidade: ms, s, m, h ou d, como em 10s",
	"time":        "deve ser uma data RFC 3339 com fuso horário",
	"min":         "é menor do que o permitido",
	"max":         "é maior do que o permitido",
	"max_bytes":   "é longo demais",
	"environment": "não existe neste ambiente",
	"format":      "não tem o formato certo",
	"pattern":     "não tem o formato certo",
	"range":       "está fora dos limites permitidos",
	"requires":    "não combina com os outros campos",
	"repeated":    "aparece mais de uma vez",
	"not_found":   "não existe ou não está ao alcance desta chave",
	"media_type":  "não é um tipo de arquivo que esta mensagem aceita",
	"max_length":  "é longo demais",
	"length":      "tem itens demais ou de menos",
	"url":         "deve ser uma URL absoluta, como https://example.com/webhooks",
	"userinfo":    "não pode conter nome nem senha",
	"fragment":    "não pode ter um fragmento",
	"port":        "deve ter uma porta de 1 a 65535, ou nenhuma",

	// the rows of bulks, and their files
	"template":          "tem um marcador {{…}} sem nome ou que não termina",
	"invalid_recipient": "o destinatário não é um número em formato internacional nem um id do WhatsApp",
	"sandbox_recipient": "este número só existe no sandbox: use uma chave de teste",
	"missing_variable":  "falta o valor de uma variável que não tem padrão",
	"text_too_long":     "o texto com as variáveis fica longo demais",
	"invalid_row":       "a linha não tem a forma certa",
	"empty_file":        "o arquivo está vazio: ele precisa de um cabeçalho e de uma linha para cada destinatário",
	"not_csv":           "isto não é CSV, e sim uma planilha ou um arquivo compactado: salve-o como “CSV UTF-8”",
	"utf16":             "o arquivo está em UTF-16: salve-o como UTF-8",
	"not_utf8":          "isto não é UTF-8, parece Latin-1 (Windows-1252): salve o arquivo como “CSV UTF-8”",
	"nul_byte":          "há um byte NUL: o arquivo está danificado ou não é CSV",
	"bare_cr":           "há um CR sem LF: salve o arquivo com fins de linha LF ou CR LF",
	"bare_quote":        "há aspas no meio de uma célula: ponha a célula entre aspas e duplique as de dentro",
	"text_after_quote":  "há texto depois das aspas que fecham a célula",
	"open_quote":        "as aspas abertas aqui nunca são fechadas",
	"empty_header":      "esta coluna não tem cabeçalho: dê-lhe um nome ou retire-a",
	"duplicate_header":  "duas colunas têm o mesmo cabeçalho: mude ou retire uma delas",
	"too_many_columns":  "o arquivo tem mais de 256 colunas",
	"too_few_cells":     "a linha tem menos células do que o cabeçalho",
	"too_many_cells":    "a linha tem mais células do que o cabeçalho",
	"cell_too_long":     "a célula é longa demais",
	"row_too_long":      "a linha é longa demais",
}

// placeInFile is how a sentence about a file begins: where it is wrong.
var placeInFile = regexp.MustCompile(`^(?:row (\d+)|header) \(line (\d+)\)(?:, column ("(?:[^"\\]|\\.)*"|.+?))?: `)

// portuguesePlace returns the place that a sentence about a file begins with, in
// Portuguese; "" when there is none.
func portuguesePlace(sentence string) string {
	parts := placeInFile.FindStringSubmatch(sentence)
	if parts == nil {
		return ""
	}
	place := "cabeçalho"
	if parts[1] != "" {
		place = "registro " + parts[1]
	}
	place += " (linha " + parts[2] + ")"
	if parts[3] != "" {
		place += ", coluna " + parts[3]
	}
	return place + ": "
}

// portuguese returns the Brazilian sentence of a fault's code; false for a code
// that callers never see.
func portuguese(code string) (string, bool) {
	sentence, ok := portugueseSentences[code]
	return sentence, ok
}
